// The flags of every command that runs a model, and how they become an open model.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { byDefault, type Given, named, oneOf, required, text, texts, wholeNumber } from './options.ts';

/** On every command that opens a model. */
export const CONFIG = {
  ignoreConfigKeys: named(
    'ignore-config-key',
    texts('<key>', 'open the model as if its config.json had not got this key; may be repeated'),
  ),
};

export const DEVICE = {
  device: byDefault(
    oneOf(
      '<provider>',
      ['auto', 'cpu', 'webgpu', 'cuda'],
      'what computes; auto: the fastest that opens a session here',
    ),
    'cpu',
  ),
  threads: wholeNumber(
    '<number>',
    1,
    "threads of one operation (default: one a physical core, no more than a container's quota)",
  ),
  precision: oneOf(
    '<kind>',
    ['auto', 'float32', 'stored'],
    'half-precision weights while decoding; float32: copied, stored: cast on use, less memory and slower (default: auto, by free memory)',
  ),
};

/** What computes, and what of a config.json is ignored: the same on every command that runs a model. */
export const COMPUTE = { ...DEVICE, ...CONFIG };

/** Of commands that only ask models: linear layers may be quantised, too. */
export const QUANTISES = {
  precision: oneOf(
    '<kind>',
    ['auto', 'float32', 'stored', 'int8', 'int4'],
    'half-precision weights while decoding; float32: copied, stored: cast on use, less memory and slower (default: auto, by free memory). int8, int4: linear layers in so many bits, made once into the cache; other answers, a fraction of the memory',
  ),
};

export const MODEL = required(
  text('<model>', 'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])'),
);

/** Of commands that ask a model. */
export const ASKED = {
  model: MODEL,
  ...COMPUTE,
  ...QUANTISES,
  batch_tokens: wholeNumber('<number>', 2, 'most tokens in one run of the engine: memory against speed'),
  dtype: oneOf(
    '<dtype>',
    ['float32', 'float16', 'bfloat16'],
    'what a GGUF is dequantised to, once, in the cache (default: float32)',
  ),
};

/** Of commands that may lay the paper's adapter over it. */
export const PAPER_ADAPTER = {
  adapter: text(
    '<path>',
    "lay the paper's adapter over the model: its instruction_emb.pt, or what whorl import made of it. It is added to the embeddings of its tokens",
  ),
  adapterTable: oneOf(
    '<whose>',
    ['model', 'adapter'],
    "embeddings that it is added to: the model's own, or those in the adapter, as the paper's inference.py --adapter (default: model)",
  ),
};

/** Opens the model, calls, and lets go of it however the call ends. */
export async function withModel<T>(
  { model, adapter: path, adapterTable: table, ...options }: Given<typeof ASKED & typeof PAPER_ADAPTER>,
  onEvent: OnEvent,
  call: (model: LocalModel) => Promise<T>,
): Promise<T> {
  if (table !== undefined && path === undefined)
    throw new WhorlError('usage', '--adapter-table without --adapter', 'name the adapter with --adapter');
  const { asking } = await import('../lm/open.ts');
  onEvent({ kind: 'phase', name: 'opening', detail: model });
  const adapter = path === undefined ? undefined : { path, ...(table && { table }) };
  return asking({ kind: 'model', model, ...(adapter && { adapter }) }, { ...options, onEvent }, call);
}

/** Rows of a file, each as it is read. A row that `read` refuses is that row's error, in its place. */
export async function* rowsOf<T extends object>(
  path: string,
  read: (row: Readonly<Record<string, unknown>>, where: string) => T,
): AsyncGenerator<T | WhorlError> {
  const { readRows } = await import('../sources/rows/read.ts');
  let count = 0;
  for await (const row of readRows(path)) yield orError(() => read(row, `${path}: row ${++count}`));
  if (count === 0) throw new WhorlError('bad-file', `${path} has no rows`, 'give at least one');
}

function orError<T>(call: () => T): T | WhorlError {
  try {
    return call();
  } catch (error) {
    if (error instanceof WhorlError) return error;
    throw error;
  }
}

/** A string column of a row. Throws `bad-file` naming file, row and column. */
export function textColumn(row: Readonly<Record<string, unknown>>, column: string, where: string): string {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  if (typeof value === 'string') return value;
  const what = value === undefined ? 'has no' : 'has no text as';
  throw new WhorlError('bad-file', `${where} ${what} "${column}"`, `give every row a string "${column}"`);
}

/** Exactly one of two ways to give the input. */
export function oneInput(direct: boolean, file: boolean, names: string): void {
  if (direct === file)
    throw new WhorlError('usage', direct ? 'two inputs are given' : 'no input is given', `give ${names}`);
}
