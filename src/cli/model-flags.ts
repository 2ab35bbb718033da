// The flags of every command that runs a model, and how they become an open model.

import { type Command, Option } from 'commander';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { ComputeOptions, DeviceChoice } from '../engine/session-device.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { repeated, wholeNumber } from './arguments.ts';

/** On every command that opens a model. */
export interface ConfigFlags {
  ignoreConfigKey?: readonly string[] | undefined;
}

export const withConfigFlag = (command: Command): Command =>
  command.option(
    '--ignore-config-key <key>',
    'open the model as if its config.json had not got this key; may be repeated',
    repeated,
  );

export const configKeys = ({ ignoreConfigKey }: ConfigFlags): ConfigOptions =>
  ignoreConfigKey === undefined ? {} : { ignoreConfigKeys: ignoreConfigKey };

/** What computes, and what of a config.json is ignored: the same flags on every command that runs a model. */
export interface ComputeFlags extends ConfigFlags {
  device: DeviceChoice;
  threads?: number;
  precision?: ComputeOptions['precision'];
}

export const withComputeFlags = (command: Command): Command => withConfigFlag(withDeviceFlags(command));

export const withDeviceFlags = (command: Command): Command =>
  command
    .addOption(
      new Option('--device <provider>', 'what computes; auto: the fastest that opens a session here')
        .choices(['auto', 'cpu', 'webgpu', 'cuda'])
        .default('cpu'),
    )
    .option(
      '--threads <number>',
      "threads of one operation (default: one a physical core, no more than a container's quota)",
      wholeNumber(1),
    )
    .addOption(
      new Option(
        '--precision <kind>',
        'half-precision weights while decoding; float32: copied, stored: cast on use, less memory and slower (default: auto, by free memory)',
      ).choices(['auto', 'float32', 'stored']),
    );

/** The flags as options of a library call. */
export const computeOptions = ({
  device,
  threads,
  precision,
  ...rest
}: ComputeFlags): ComputeOptions & ConfigOptions => ({
  device,
  ...configKeys(rest),
  ...(threads !== undefined && { threads }),
  ...(precision !== undefined && { precision }),
});

export interface ModelFlags extends ComputeFlags {
  model: string;
  batchTokens?: number;
  dtype?: FloatDtype;
}

export const withModelFlags = (command: Command): Command =>
  withComputeFlags(
    command.requiredOption(
      '--model <model>',
      'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])',
    ),
  )
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
  const { asking } = await import('../lm/open.ts');
  onEvent({ kind: 'phase', name: 'opening', detail: flags.model });
  const options = {
    ...computeOptions(flags),
    onEvent,
    ...(flags.dtype && { dtype: flags.dtype }),
    ...(flags.batchTokens !== undefined && { batch_tokens: flags.batchTokens }),
  };
  return asking({ kind: 'model', model: flags.model }, options, call);
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
