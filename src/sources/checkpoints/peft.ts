// LoRA adapters as PEFT saves them (adapter_config.json, adapter_model.safetensors): what they add to which tensor.
// A setting that changes the function and is not handled here is refused by name. Format: peft's save_and_load.py.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { asObject, readJsonObject } from '../strict-json.ts';
import { floatDtype } from './read.ts';
import { readSafetensorsHeader, shown } from './safetensors.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
/** What PEFT puts before a module's name. */
export const PREFIX = 'base_model.model.';

/** What is added to one matrix: scale · B·A, to an embedding [in, out] its transpose. */
export interface LowRankPart {
  /** [rank, in] */
  readonly a: TensorRef;
  /** [out, rank] */
  readonly b: TensorRef;
  readonly scale: number;
  /** In place of the base's own matrix: PEFT saves a head or an embedding that it adapts, and loads it from there. */
  readonly base?: TensorRef;
  /** Whether PEFT adapted a table that rows are looked up in. */
  readonly isEmbedding: boolean;
}

export interface PeftAdapter {
  readonly folder: string;
  /** What `base_model_name_or_path` says; nobody vouches for it. */
  readonly base: string | null;
  /** By the module's name (`model.layers.0.self_attn.q_proj`), in the file's order. */
  readonly parts: ReadonlyMap<string, LowRankPart>;
}

// Settings read below, and such as leave the saved adapter's function as it is: how it was begun, dropped out, or found.
const READ = new Set([
  'peft_type',
  'r',
  'lora_alpha',
  'use_rslora',
  'rank_pattern',
  'alpha_pattern',
  'layers_to_transform',
  'layers_pattern',
]);
const HARMLESS = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'exclude_modules', // the file says which modules there are
  'fan_in_fan_out', // for layers that keep [in, out]; PEFT takes it back for the linear layers of our families
  'inference_mode',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
]);
/** Beginnings that leave the base's own weights as they are; `pissa`, `olora` and the like subtract from them. */
const BEGINNINGS: readonly unknown[] = [true, false, 'gaussian', 'eva', 'orthogonal'];

/** @throws WhorlError `missing-file`, `bad-file`; `unsupported` naming the setting or tensor that is not handled */
export function readPeftAdapter(folder: string): PeftAdapter {
  const [configPath, weights] = [join(folder, ADAPTER_CONFIG), join(folder, ADAPTER_WEIGHTS)];
  if (!existsSync(configPath))
    throw new WhorlError(
      'missing-file',
      `${folder} has no ${ADAPTER_CONFIG}`,
      'give a folder that PEFT or `whorl finetune --lora` wrote',
    );
  if (!existsSync(weights)) throw noWeights(folder);
  const config = readJsonObject(configPath, configPath);
  checkConfig(config, configPath);
  const pairs = pairsOf(readSafetensorsHeader(weights, weights).tensors, weights);
  const scaleOf = scales(config, configPath);
  const inLayers = layers(config, configPath);
  const parts = new Map<string, LowRankPart>();
  for (const [module, pair] of pairs) {
    if (!targeted(module, config.target_modules))
      throw new WhorlError(
        'mismatch',
        `${weights}: ${shown(module)} is not among the target_modules of ${ADAPTER_CONFIG}`,
        'PEFT would leave it out; correct one of the two files',
      );
    if (!inLayers(module))
      throw new WhorlError(
        'mismatch',
        `${weights}: ${shown(module)} is in no layer of layers_to_transform in ${ADAPTER_CONFIG}`,
        'PEFT would leave it out; correct one of the two files',
      );
    parts.set(module, { ...pair, scale: scaleOf(module, pair.a.shape[0]!) });
  }
  const base = config.base_model_name_or_path;
  return { folder, base: typeof base === 'string' ? base : null, parts };
}

function noWeights(folder: string): WhorlError {
  if (existsSync(join(folder, 'adapter_model.bin')))
    return new WhorlError(
      'unsupported',
      `${folder} holds a pickled adapter_model.bin`,
      'save it with PEFT as safetensors (save_pretrained does so by default)',
    );
  return new WhorlError('missing-file', `${folder} has no ${ADAPTER_WEIGHTS}`, 'download it');
}

function checkConfig(config: Readonly<Record<string, unknown>>, path: string): void {
  const refuse = (key: string): never => {
    const value = JSON.stringify(config[key]) ?? 'nothing';
    throw new WhorlError(
      'unsupported',
      `${path}: ${shown(key)} is ${value.slice(0, 80)}`,
      'merge this adapter with PEFT; Whorl handles plain LoRA',
    );
  };
  if (config.peft_type !== 'LORA') refuse('peft_type');
  for (const [key, value] of Object.entries(config)) {
    if (READ.has(key) || HARMLESS.has(key)) continue;
    if (key === 'init_lora_weights' ? !BEGINNINGS.includes(value) : !idle(value)) refuse(key);
  }
}

/** Whether a setting says that its feature is not used. */
const idle = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === 'none' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

/** A list names modules or their ends. A string is a regular expression, which decided when the adapter was made. */
function targeted(module: string, targets: unknown): boolean {
  if (!Array.isArray(targets)) return true;
  return targets.some((target) => module === target || module.endsWith(`.${String(target)}`));
}

/**
 * Whether a module is in one of the layers that were adapted, as PEFT finds a layer's number: behind one of the names in
 * `layers_pattern`, or by default behind any name; of several numbers in a name the first.
 */
function layers(config: Readonly<Record<string, unknown>>, path: string): (module: string) => boolean {
  const given = config.layers_to_transform ?? null;
  if (given === null) return () => true;
  const numbers = [given].flat();
  if (!numbers.every(Number.isInteger))
    throw new WhorlError('bad-file', `${path}: layers_to_transform is no list of layers`);
  const names = [config.layers_pattern ?? []].flat().filter((name) => name !== '');
  if (!names.every((name) => typeof name === 'string' && /^[\w-]+$/.test(name)))
    throw new WhorlError(
      'unsupported',
      `${path}: layers_pattern has a regular expression`,
      'write the names of the layer lists out',
    );
  return (module) => {
    const parts = module.split('.');
    const numberAfter = (least: number, name?: string): string | undefined =>
      parts.find(
        (part, i) =>
          i >= least &&
          i < parts.length - 1 &&
          /^\d+$/.test(part) &&
          (name === undefined || parts[i - 1] === name),
      );
    const found =
      names.length === 0
        ? numberAfter(2)
        : names.map((name) => numberAfter(1, name as string)).find((number) => number !== undefined);
    return found !== undefined && numbers.includes(Number(found));
  };
}

type Pair = Omit<LowRankPart, 'scale'>;

/** What a tensor is by the end of its name; of which kind of layer it says its module is. */
const KINDS: Readonly<Record<string, { part: 'a' | 'b' | 'base'; isEmbedding?: boolean }>> = {
  'lora_A.weight': { part: 'a', isEmbedding: false },
  'lora_B.weight': { part: 'b', isEmbedding: false },
  lora_embedding_A: { part: 'a', isEmbedding: true },
  lora_embedding_B: { part: 'b', isEmbedding: true },
  'base_layer.weight': { part: 'base' },
};
const NAME = new RegExp(
  `^${PREFIX.replaceAll('.', '[.]')}(.+)[.](${Object.keys(KINDS).join('|').replaceAll('.', '[.]')})$`,
);

function pairsOf(tensors: ReadonlyMap<string, TensorRef>, path: string): Map<string, Pair> {
  const found = new Map<string, Partial<Pair>>();
  for (const [key, ref] of tensors) {
    const [, module, kind] = NAME.exec(key) ?? [];
    if (module === undefined)
      throw new WhorlError(
        'unsupported',
        `${path}: tensor ${shown(key)} is no lora_A or lora_B of a linear layer or an embedding`,
        'merge this adapter with PEFT',
      );
    floatDtype(ref);
    const before = found.get(module);
    const { part, isEmbedding = before?.isEmbedding } = KINDS[kind!]!;
    if (before?.isEmbedding !== undefined && before.isEmbedding !== isEmbedding)
      throw new WhorlError('bad-file', `${path}: ${shown(module)} is a linear layer and an embedding`);
    found.set(module, { ...before, [part]: ref, ...(isEmbedding !== undefined && { isEmbedding }) });
  }
  const pairs = new Map<string, Pair>();
  for (const [module, { a, b, base, isEmbedding = false }] of found) {
    if (!a || !b)
      throw new WhorlError(
        'bad-file',
        `${path}: ${shown(module)} lacks its lora_${isEmbedding ? 'embedding_' : ''}${a ? 'B' : 'A'}`,
      );
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== b.shape[1] || a.shape[0] === 0)
      throw new WhorlError(
        'bad-file',
        `${path}: ${shown(module)} has A [${a.shape}] and B [${b.shape}], which do not multiply`,
      );
    const [out, width] = [b.shape[0]!, a.shape[1]!];
    if (base && String(base.shape) !== String(isEmbedding ? [width, out] : [out, width]))
      throw new WhorlError('bad-file', `${path}: ${shown(module)} has a base_layer of [${base.shape}]`);
    pairs.set(module, { a, b, isEmbedding, ...(base && { base }) });
  }
  if (pairs.size === 0) throw new WhorlError('bad-file', `${path} holds no tensors`);
  return pairs;
}

/** alpha / rank, or alpha / √rank (rsLoRA), by module. */
function scales(
  config: Readonly<Record<string, unknown>>,
  path: string,
): (module: string, rank: number) => number {
  const ranks = patterns(config, 'r', 'rank_pattern', path);
  const alphas = patterns(config, 'lora_alpha', 'alpha_pattern', path);
  const stabilised = config.use_rslora === true;
  return (module, rank) => {
    const named = ranks(module);
    if (named !== rank)
      throw new WhorlError(
        'mismatch',
        `${path}: ${shown(module)} has rank ${named}, but its tensors have ${rank}`,
        'config and weights are of different adapters',
      );
    return alphas(module) / (stabilised ? Math.sqrt(rank) : rank);
  };
}

/** A number for all modules, and others by pattern: the first that is a module's end, or with `^` the whole of it. */
function patterns(
  config: Readonly<Record<string, unknown>>,
  key: string,
  patternKey: string,
  path: string,
): (module: string) => number {
  const numberOf = (value: unknown, name: string): number => {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new WhorlError('bad-file', `${path}: ${shown(name)} is not a number`);
  };
  const general = numberOf(config[key], key);
  const special = Object.entries(asObject(config[patternKey] ?? {}, `${path}: ${patternKey}`)).map(
    ([pattern, value]) => {
      // Regular expressions to PEFT. Only plain names are taken: others could be made to run for ever.
      if (!/^\^?(?:[\w-]|\\?\.)+$/.test(pattern))
        throw new WhorlError(
          'unsupported',
          `${path}: ${patternKey} has the regular expression ${shown(pattern)}`,
          'write the module names out',
        );
      const whole = pattern.startsWith('^');
      const name = pattern.replace(/^\^/, '').replaceAll('\\.', '.');
      return { name, whole, value: numberOf(value, pattern) };
    },
  );
  return (module) =>
    special.find(({ name, whole }) => module === name || (!whole && module.endsWith(`.${name}`)))?.value ??
    general;
}
