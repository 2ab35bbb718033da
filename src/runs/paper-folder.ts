// The paper's output folders and what their names say (docs/method.md, section 4):
// output_{template}_{adapter|sft_chat}/{model}/{data}_epoch_{e}_lr_{lr}_bsz_{b}[_d_{dim}]/*.jsonl

import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';

export const FLAVOURS = ['adapter', 'sft_chat'] as const;
export type Flavour = (typeof FLAVOURS)[number];
/** The method that fingerprints in each. */
export const FLAVOUR_METHODS = { adapter: 'adapter', sft_chat: 'sft' } as const satisfies Record<
  Flavour,
  string
>;

/** What the name of a run folder says. */
export interface PaperSettings {
  readonly data: string;
  readonly epoch: string;
  readonly lr: string;
  readonly bsz: string;
  /** Rank of the map: adapter only. */
  readonly dim?: string;
}

export interface PaperRun extends PaperSettings {
  readonly path: string;
  readonly template: string;
  readonly flavour: Flavour;
  /** As the hub names it: the folders between the output folder and the run. */
  readonly model: string;
}

/** What a .jsonl file of a run holds; `task` and `round` where its name has them. */
export interface AnswerFileName {
  readonly file: string;
  readonly kind: AnswerKind;
  readonly task?: string;
  readonly round?: number;
}
export type AnswerKind =
  | 'vanilla'
  | 'publish'
  | 'publish_w_adapter'
  | 'sample_from_bos'
  | 'tuned_publish'
  | 'tuned_round'
  | 'tuned_w_adapter'
  | 'tuned_direct';

/** Rounds of sampled answers of a user model. */
export const ROUNDS = 10;

const OUTPUT = /^output_(.+)_(adapter|sft_chat)$/;
const RUN = /^(.+)_epoch_([^_]+)_lr_([^_]+)_bsz_([^_]+?)(?:_d_([^_]+))?$/;
const MAX_DEPTH = 8;
const MAX_FOLDERS = 20_000;

/** Throws nothing: undefined for a name that is none of a run. */
export function parseRunName(name: string): PaperSettings | undefined {
  const [, data, epoch, lr, bsz, dim] = RUN.exec(name) ?? [];
  if (data === undefined || epoch === undefined || lr === undefined || bsz === undefined) return undefined;
  return { data, epoch, lr, bsz, ...(dim === undefined ? {} : { dim }) };
}

/** The name that `parseRunName` reads. */
const runName = ({ data, epoch, lr, bsz, dim }: PaperSettings): string =>
  `${data}_epoch_${epoch}_lr_${lr}_bsz_${bsz}${dim === undefined ? '' : `_d_${dim}`}`;

/** The folder of a run under `root`; `model` as the hub names it. @throws WhorlError `usage` for a part that is no name */
export function paperRunPath(
  root: string,
  { template, flavour, model, data, epoch, lr, bsz, dim }: Omit<PaperRun, 'path'>,
): string {
  checkName('-t', template);
  for (const part of model.split('/')) checkName('the name of --base_model', part);
  checkName('data_name', data);
  for (const [what, value] of Object.entries({ epoch, lr, bsz, dim }))
    if (value !== undefined) checkName(what, value);
  return join(
    root,
    `output_${template}_${flavour}`,
    ...model.split('/'),
    runName({ data, epoch, lr, bsz, ...(dim !== undefined && { dim }) }),
  );
}

const MOST_BYTES = 100; // five of them and the words between them make no name that a file system refuses

/** What becomes part of a path must be one name: nothing that leads elsewhere. @throws WhorlError `usage` */
export function checkName(what: string, name: string): void {
  const isPlain =
    name.trim() === name &&
    /^[^./\\\p{C}\p{Zl}\p{Zp}][^/\\\p{C}\p{Zl}\p{Zp}]*$/u.test(name) &&
    Buffer.byteLength(name) <= MOST_BYTES;
  if (!isPlain)
    throw new WhorlError(
      'usage',
      `${what} ${JSON.stringify(name)} is no name of a folder`,
      `give a name of at most ${MOST_BYTES} bytes without / and \\ that does not begin with a dot`,
    );
}

/** @throws WhorlError `bad-path` where a folder between `root` and `path` is a link: what is written would lie elsewhere */
export function checkNoLinks(root: string, path: string): void {
  let at = root;
  for (const part of relative(root, path).split(sep)) {
    at = join(at, part);
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new WhorlError('bad-path', `${at} is a link`, 'name the folder that it leads to with --root');
  }
}

/**
 * Every run under `root`, which may be a run, an output folder, or a folder that holds some, sorted by path. Links
 * are not followed. Throws `missing-file` where `root` is not there.
 */
export function findPaperRuns(root: string): PaperRun[] {
  const start = realFolder(root);
  const runs: PaperRun[] = [];
  let folders = 0;
  const walk = (path: string, depth: number): void => {
    if (++folders > MAX_FOLDERS)
      throw new WhorlError('bad-file', `${root} holds more than ${MAX_FOLDERS} folders`, 'name one nearer');
    const run = runAt(path);
    if (run) return void runs.push(run);
    if (depth === MAX_DEPTH) return;
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        walk(join(path, entry.name), depth + 1);
  };
  walk(start, 0);
  return runs;
}

function realFolder(root: string): string {
  let path: string;
  try {
    path = realpathSync(root);
  } catch (cause) {
    if (!isNotThere(cause)) throw systemError(cause, root, 'reading') ?? cause;
    throw new WhorlError('missing-file', `${root} does not exist`, 'give an output folder of a run', {
      cause,
    });
  }
  if (!lstatSync(path).isDirectory())
    throw new WhorlError('bad-file', `${root} is not a folder`, 'give an output folder of a run');
  return path;
}

/** A run is a folder named like one, somewhere below an output folder. */
function runAt(path: string): PaperRun | undefined {
  const settings = parseRunName(basename(path));
  if (!settings) return undefined;
  for (let above = dirname(path); above !== dirname(above); above = dirname(above)) {
    const [, template, flavour] = OUTPUT.exec(basename(above)) ?? [];
    if (template === undefined || flavour === undefined) continue;
    const model = relative(above, dirname(path)).split(sep).join('/');
    if (model === '') return undefined;
    return { path, template, flavour: flavour as Flavour, model, ...settings };
  }
  return undefined;
}

const PLAIN: ReadonlySet<string> = new Set(['vanilla', 'publish', 'publish_w_adapter', 'sample_from_bos']);

/** What a file's name says, or undefined for one that is no answer file. */
export function parseAnswerFile(file: string): AnswerFileName | undefined {
  if (!file.endsWith('.jsonl')) return undefined;
  const name = file.slice(0, -'.jsonl'.length);
  if (PLAIN.has(name)) return { file, kind: name as AnswerKind };
  const [, task, kind, round] = /^(.+)_tuned_(publish|w_adapter|direct)(?:_(\d+)_10)?$/.exec(name) ?? [];
  if (task === undefined || kind === undefined) return undefined;
  if (round === undefined) return { file, kind: `tuned_${kind}` as AnswerKind, task };
  if (kind !== 'publish' || Number(round) >= ROUNDS || String(Number(round)) !== round) return undefined;
  return { file, kind: 'tuned_round', task, round: Number(round) };
}

/** Where the model lies that a user made of the published one with the data set `task`. */
export const tunedFolder = (run: string, task: string): string => join(run, `${task}_tuned`);

/** The name that `parseAnswerFile` reads. */
export function answerFileName({ kind, task, round }: Omit<AnswerFileName, 'file'>): string {
  if (task === undefined) return `${kind}.jsonl`;
  const own = kind === 'tuned_round' ? `tuned_publish_${round}_${ROUNDS}` : kind;
  return `${task}_${own}.jsonl`;
}

/** The answer files of a run, sorted by name, and the .jsonl files that are none. */
export function answerFiles(path: string): { files: AnswerFileName[]; unknown: string[] } {
  const names = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.jsonl'))
    .map(({ name }) => name)
    .sort();
  const parsed = names.map(parseAnswerFile);
  return {
    files: parsed.filter((file) => file !== undefined),
    unknown: names.filter((_, i) => parsed[i] === undefined),
  };
}
