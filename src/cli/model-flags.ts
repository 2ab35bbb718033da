// The flags of every command that runs a model, and how they become an open model.

import { type Command, Option } from 'commander';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { wholeNumber } from './arguments.ts';

export interface ModelFlags {
  model: string;
  device: Device['provider'];
  threads?: number;
  batchTokens?: number;
  dtype?: FloatDtype;
}

export const withModelFlags = (command: Command): Command =>
  command
    .requiredOption('--model <model>', 'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])')
    .addOption(
      new Option('--device <provider>', 'what computes').choices(['cpu', 'webgpu', 'cuda']).default('cpu'),
    )
    .option('--threads <number>', 'threads of one operation (default: every core)', wholeNumber(1))
    .option(
      '--batch-tokens <number>',
      'most tokens in one run of the engine: memory against speed',
      wholeNumber(2),
    )
    .addOption(
      new Option(
        '--dtype <dtype>',
        'what a GGUF is dequantised to, once, in the cache (default: float32)',
      ).choices(['float32', 'float16', 'bfloat16']),
    );

/** Opens the model, calls, and lets go of it however the call ends. */
export async function withModel<T>(
  flags: ModelFlags,
  onEvent: OnEvent,
  call: (model: LocalModel) => Promise<T>,
): Promise<T> {
  const [{ openModel }, { LocalModel }] = await Promise.all([
    import('../models/open-model.ts'),
    import('../lm/local-model.ts'),
  ]);
  const device: Device = {
    provider: flags.device,
    ...(flags.threads !== undefined && { threads: flags.threads }),
  };
  onEvent({ kind: 'phase', name: 'opening', detail: flags.model });
  const folder = await openModel(flags.model, { onEvent, ...(flags.dtype && { dtype: flags.dtype }) });
  const model = await LocalModel.open(folder, {
    device,
    ...(flags.batchTokens !== undefined && { batch_tokens: flags.batchTokens }),
  });
  try {
    return await call(model);
  } finally {
    await model.release();
  }
}

/** Results that come out of order, in order, each as soon as those before it are there. */
export async function* inOrder<T extends { readonly index: number }>(
  results: AsyncIterable<T>,
): AsyncGenerator<T> {
  const waiting = new Map<number, T>();
  let next = 0;
  for await (const result of results) {
    waiting.set(result.index, result);
    for (let ready = waiting.get(next); ready !== undefined; ready = waiting.get(next)) {
      waiting.delete(next++);
      yield ready;
    }
  }
}

/** Rows of a file in groups of at most `size`: what is printed early, and how much is held in memory. */
export async function* rowGroups<T>(
  path: string,
  read: (row: Readonly<Record<string, unknown>>, where: string) => T,
  size: number,
): AsyncGenerator<T[]> {
  const { readRows } = await import('../sources/rows/read.ts');
  let group: T[] = [];
  let count = 0;
  for await (const row of readRows(path)) {
    group.push(read(row, `${path}: row ${++count}`));
    if (group.length === size) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
  if (count === 0) throw new WhorlError('bad-file', `${path} has no rows`, 'give at least one');
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
