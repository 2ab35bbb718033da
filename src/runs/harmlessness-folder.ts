// Results of evaluations where the paper keeps them: {vanilla,fingerprinted_adapter,fingerprinted_sft_chat}/{model}[/{run}]/
// {tasks}/{shots}.json, in the layout of lm-evaluation-harness, of whatever version.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isThere, systemError } from '../base/system-errors.ts';
import { checkName, type Flavour, parseRunName } from './paper-folder.ts';

/** One results file. */
export interface ResultsFile {
  readonly path: string;
  /** The folder's name: tasks with commas between. */
  readonly tasks: string;
  readonly shots: number;
  /** Task → `metric,filter` → value. */
  readonly results: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What says which program made it: the harness's commit, or Whorl's format and mode. */
  readonly version: string;
  /** What Whorl says of a file that it made. */
  readonly own?: Readonly<Record<string, unknown>>;
}

export interface EvaluatedModel {
  /** As the hub names it. */
  readonly model: string;
  /** The paper's run folder; absent of a vanilla model. */
  readonly run?: string;
  readonly path: string;
}

const FOLDERS: Readonly<Record<Flavour | 'vanilla', string>> = {
  vanilla: 'vanilla',
  adapter: 'fingerprinted_adapter',
  sft_chat: 'fingerprinted_sft_chat',
};

/** Where results of a model are kept below an evaluation folder. @throws WhorlError `usage` for a model that is no name of folders */
export function evaluationPlace(
  folder: string,
  kind: Flavour | 'vanilla',
  model: string,
  run?: string,
): string {
  for (const part of model.split('/')) checkName('the model', part);
  return join(folder, FOLDERS[kind], ...model.split('/'), ...(run === undefined ? [] : [run]));
}

const SHOTS = /^(\d+)\.json$/;
const MAX_DEPTH = 6;
const MAX_BYTES = 100_000_000;

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.endsWith('.samples'))
      .map((entry) => entry.name)
      .sort();
  } catch (cause) {
    throw systemError(cause, path, 'reading') ?? cause;
  }
}

const filesIn = (path: string): string[] =>
  readdirSync(path)
    .filter((name) => SHOTS.test(name))
    .sort();

/** The folders named so below `path`, or `path` itself: an evaluation folder is found from above it, too. */
export function evaluationFolders(path: string): string[] {
  if (isThere(join(path, FOLDERS.vanilla))) return [path];
  const below = foldersIn(path)
    .map((name) => join(path, name))
    .filter((folder) => isThere(join(folder, FOLDERS.vanilla)));
  if (below.length > 0) return below;
  throw new WhorlError(
    'missing-file',
    `${path} holds no evaluation: there is no folder ${FOLDERS.vanilla} in it`,
    'name the folder that has vanilla/ and fingerprinted_…/, the paper calls it harmlessness_eval',
  );
}

/** Models of one kind below an evaluation folder, by name. */
export function evaluatedModels(folder: string, kind: Flavour | 'vanilla'): EvaluatedModel[] {
  const root = join(folder, FOLDERS[kind]);
  if (!isThere(root)) return [];
  const out: EvaluatedModel[] = [];
  const walk = (path: string, names: readonly string[]): void => {
    const inner = foldersIn(path);
    const holds = inner.some((name) => filesIn(join(path, name)).length > 0);
    if (holds) {
      const last = basename(path);
      const isRun = kind !== 'vanilla' && parseRunName(last) !== undefined;
      out.push({ path, model: (isRun ? names.slice(0, -1) : names).join('/'), ...(isRun && { run: last }) });
    } else if (names.length < MAX_DEPTH) for (const name of inner) walk(join(path, name), [...names, name]);
  };
  walk(root, []);
  return out;
}

/** Every results file of a model. Throws `bad-file` naming one that is none. */
export const resultsFiles = ({ path }: EvaluatedModel): ResultsFile[] =>
  foldersIn(path).flatMap((tasks) =>
    filesIn(join(path, tasks)).map((name) =>
      resultsFile(join(path, tasks, name), tasks, Number(SHOTS.exec(name)![1])),
    ),
  );

function resultsFile(path: string, tasks: string, shots: number): ResultsFile {
  let content: Readonly<Record<string, unknown>>;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_BYTES) throw new Error('too large');
    content = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw (
      systemError(cause as Error, path, 'reading') ??
      new WhorlError('bad-file', `${path} is no results file: not valid JSON`, 'remove it', { cause })
    );
  }
  const results = isRecord(content) ? content.results : undefined;
  if (!isRecord(results) || !Object.values(results).every(isRecord))
    throw new WhorlError(
      'bad-file',
      `${path} is no results file: it has no "results" with an object a task`,
      'remove it',
    );
  const own = content.whorl;
  return {
    path,
    tasks,
    shots,
    results: results as ResultsFile['results'],
    version: versionOf(content),
    ...(isRecord(own) && { own }),
  };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function versionOf(content: Readonly<Record<string, unknown>>): string {
  const own = content.whorl;
  if (isRecord(own)) return `whorl ${String(own.format)} ${String(own.mode)}`;
  return typeof content.git_hash === 'string' ? content.git_hash : 'unknown';
}
