// What a folder that Whorl writes carries over beside config and weights, and what it leaves out, each with its reason.
// By kind of file, so that nothing private in the user's folder (keys, logs, optimiser states) goes out with it.

import { lstatSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import type { OnEvent } from '../../base/events.ts';
import { furtherTemplateName, furtherTemplates, templateFolder } from './chat-templates.ts';
import type { Checkpoint } from './checkpoint.ts';
import { fileIn, namesIn, refuseStrangeName, type SourceFolder, sourceFolder } from './folder.ts';
import { shown } from './safetensors.ts';

/** What makes the model run: always carried, a link among them is an error. The hub client fetches the same files. */
export const CARRIED = [
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'generation_config.json',
  'merges.txt',
  'special_tokens_map.json',
  'spiece.model',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
  'vocab.txt',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
  'NOTICE',
  'USE_POLICY.md',
] as const;

/** Of those, the tokenizer's. */
export const TOKENIZER_FILES = CARRIED.filter((name) =>
  /^(?:added_tokens|chat_template|merges|special_tokens_map|spiece|tokenizer|vocab)/.test(name),
);

/** The model card; who publishes writes it anew around the owner's. */
export const CARD = 'README.md';

/** Code, pictures of a card, templates, papers: what people put beside a model to be published with it. */
const KINDS: ReadonlySet<string> = new Set([
  '.py',
  '.md',
  '.jinja',
  '.png',
  '.jpg',
  '.jpeg',
  '.gif',
  '.svg',
  '.webp',
  '.pdf',
  '.bib',
  '.cff',
]);
const LEGAL = /^(?:licen[cs]e|copying|copyright|notice|authors|citation|third[-_]party)/i;
/** Configurations that transformers opens by these names. */
const CONFIGS: ReadonlySet<string> = new Set([
  'preprocessor_config.json',
  'processor_config.json',
  'sentencepiece.bpe.model',
  'tokenization_config.json',
  'tokenizer.vocab',
]);
const WEIGHTS: ReadonlySet<string> = new Set([
  '.bin',
  '.ckpt',
  '.gguf',
  '.h5',
  '.msgpack',
  '.onnx',
  '.pt',
  '.pth',
  '.safetensors',
]);
/** A file that is carried for its kind alone: pictures and code are below this. */
const MAX_BYTES = 10 * 2 ** 20;

/** Whether a file beside a model is published with it for its kind, whatever its size. */
export const isCarriedKind = (name: string): boolean =>
  KINDS.has(extname(name).toLowerCase()) || LEGAL.test(name) || CONFIGS.has(name);

/** Whether a path inside a model's folder or repository is one of the files that make it run. */
export const makesItRun = (path: string): boolean =>
  (CARRIED as readonly string[]).includes(path) || furtherTemplateName(path) !== undefined;

/** Path inside a folder and real path. */
type Found = readonly (readonly [name: string, path: string])[];

const found = (name: string, path: string | undefined): Found => (path === undefined ? [] : [[name, path]]);

/** What beside config and weights makes the model run, of all that is there. */
const runningFiles = (source: SourceFolder): Found => [
  ...CARRIED.flatMap((name) => found(name, fileIn(source, name))),
  ...furtherTemplates(source.path).flatMap((name) =>
    found(name, fileIn(templateFolder(source), basename(name))),
  ),
];

/** All that makes the model run beside its weights, of what is there: config.json first. */
export const filesBesideWeights = (source: SourceFolder): Found => [
  ...found('config.json', fileIn(source, 'config.json')),
  ...runningFiles(source),
];

interface LeftOut {
  readonly name: string;
  readonly why: string;
}

interface Carried {
  readonly files: Found;
  readonly leftOut: readonly LeftOut[];
}

/** Sorts the files of `checkpoint`'s folder that are neither its weights nor its card. Throws `bad-file` for a link that the model needs. */
export function carriedFrom(checkpoint: Pick<Checkpoint, 'folder' | 'files'>): Carried {
  const source = sourceFolder(checkpoint.folder);
  const own = new Set([...checkpoint.files.map(({ name }) => name), CARD]);
  const files = [...runningFiles(source)];
  const folders = new Set(files.flatMap(([name]) => (name.includes('/') ? [name.split('/')[0]] : [])));
  const leftOut: LeftOut[] = [];
  for (const name of namesIn(source)) {
    if (own.has(name) || folders.has(name) || files.some(([carried]) => carried === name)) continue;
    const why = reasonAgainst(source, name);
    if (why === undefined) files.push([name, fileIn(source, name)!]);
    else leftOut.push({ name, why });
  }
  return { files, leftOut };
}

function reasonAgainst(source: ReturnType<typeof sourceFolder>, name: string): string | undefined {
  const stats = lstatSync(join(source.path, name));
  if (stats.isDirectory()) return 'a folder';
  if (name.startsWith('.')) return 'hidden';
  if (WEIGHTS.has(extname(name).toLowerCase())) return 'weights that are not the ones opened';
  if (!isCarriedKind(name)) return 'not a file that is published with a model';
  try {
    refuseStrangeName(name, source.given);
    const path = fileIn(source, name)!;
    return lstatSync(path).size > MAX_BYTES ? `above ${MAX_BYTES / 2 ** 20} MiB` : undefined;
  } catch {
    return stats.isSymbolicLink() ? 'a link' : 'a name that is not the same on every system';
  }
}

/** Says once what stays behind; nothing where nothing does. */
export function noteLeftOut(checkpoint: Pick<Checkpoint, 'folder' | 'files'>, onEvent: OnEvent): void {
  const byReason = new Map<string, string[]>();
  for (const { name, why } of carriedFrom(checkpoint).leftOut)
    byReason.set(why, [...(byReason.get(why) ?? []), shown(name)]);
  for (const [why, names] of byReason)
    onEvent({ kind: 'note', text: `not copied: ${listed(names)} (${why})` });
}

const MAX_NAMED = 8;
const listed = (names: readonly string[]): string =>
  names.slice(0, MAX_NAMED).join(', ') +
  (names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '');
