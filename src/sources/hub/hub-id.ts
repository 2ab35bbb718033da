// How a repository of the hub is named: `org/name`, `org/name@revision`, `org/name:file.gguf`, and what kinds there are.

/** A kind of repository; everything that differs between kinds is a field here. */
export interface RepoType {
  readonly name: 'model' | 'dataset';
  /** Its folder under /api/ and the beginning of its folder's name in the cache. */
  readonly plural: 'models' | 'datasets';
  /** What stands before `org/name` in the address of a page or a file. */
  readonly prefix: '' | 'datasets/';
}

const MODEL: RepoType = { name: 'model', plural: 'models', prefix: '' };
export const DATASET: RepoType = { name: 'dataset', plural: 'datasets', prefix: 'datasets/' };

export interface HubId {
  readonly type: RepoType;
  /** `org/name`. */
  readonly repo: string;
  /** Branch, tag or commit; `main` unless said. */
  readonly revision: string;
  /** One file of the repository, where only that is meant. */
  readonly file?: string;
}

// The hub's own rules: letters, digits, - _ . and neither "--" nor ".." nor ".git" at the end; 96 characters at most.
const PART = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?';
const HUB_ID = new RegExp(`^(${PART}/${PART})(?:@([^:@]+))?(?::(.+))?$`);
const MAX_ID = 96;
/** Names that are files on this machine or nothing: `weights/x.gguf` is no repository. */
const FILE_NAME = /\.(gguf|safetensors|json|jsonl|ndjson|parquet|arrow|csv|bin|pt)$/i;

/** The id that `text` spells, or undefined where it can only be a path. */
export function parseHubId(text: string, type: RepoType = MODEL): HubId | undefined {
  const [, repo, revision = 'main', file] = HUB_ID.exec(text) ?? [];
  if (repo === undefined || repo.length > MAX_ID || /--|\.\.|\.git$/.test(repo)) return undefined;
  if (FILE_NAME.test(repo) || !isRevision(revision)) return undefined;
  return { type, repo, revision, ...(file !== undefined && { file }) };
}

/** Git's rules for names of branches and tags, as far as a name may become a path in the cache. */
const isRevision = (name: string): boolean =>
  name.length <= 255 &&
  !/[\s~^:?*[\\\p{Cc}\p{Surrogate}]|\.\.|@\{/u.test(name) &&
  name
    .split('/')
    .every((part) => part !== '' && !/^[.-]|\.$|\.lock$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(part));

/** As people write it; `main` is left out. */
export const hubName = ({ repo, revision, file }: HubId): string =>
  repo + (revision === 'main' ? '' : `@${revision}`) + (file === undefined ? '' : `:${file}`);

/** A full commit hash names its content for ever. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);
