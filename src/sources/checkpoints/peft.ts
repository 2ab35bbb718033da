// LoRA adapters as PEFT saves them (adapter_config.json, adapter_model.safetensors or .bin): what they make of which
// tensor. A setting that changes the function and is not handled is refused by name. Format: peft's save_and_load.py.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { readJsonObject } from '../strict-json.ts';
import {
  ADAPTER_CONFIG,
  checkConfig,
  layers,
  namesIn,
  parameterTargets,
  scales,
  stackedParameter,
  targeted,
  tokenRows,
} from './peft-config.ts';
import { type Pair, sortTensors } from './peft-tensors.ts';
import { readSafetensorsHeader, shown } from './safetensors.ts';
import { torchTensors } from './torch-folder.ts';

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
const PICKLED = 'adapter_model.bin';

/** What is added to one matrix: scale · B·A, to an embedding [in, out] its transpose. */
export interface LowRankPart extends Pair {
  readonly scale: number;
}

/** What is added to a parameter [experts, out, in]: to each expert scale · B·A of its own (PEFT's ParamWrapper). */
export interface StackedPart {
  /** [experts · rank, in], an expert's rows together. */
  readonly a: TensorRef;
  /** [out, rank · experts], columns of the same rank together. */
  readonly b: TensorRef;
  /** By the number of experts, which the adapter does not say. */
  scale(experts: number): number;
}

/** Rows of a table that are other ones. */
export interface TokenRows {
  readonly rows: readonly number[];
  /** [rows.length, width] */
  readonly values: TensorRef;
}

export interface PeftAdapter {
  readonly folder: string;
  /** What `base_model_name_or_path` says; nobody vouches for it. */
  readonly base: string | null;
  /** By the module's name (`model.layers.0.self_attn.q_proj`), in the file's order. */
  readonly parts: ReadonlyMap<string, LowRankPart>;
  /** By the parameter's name (`model.layers.0.mlp.experts.down_proj`). */
  readonly stacked: ReadonlyMap<string, StackedPart>;
  /** By the tensor's name: what stands in place of the base's own (`modules_to_save`, biases, grown tables). */
  readonly whole: ReadonlyMap<string, TensorRef>;
  /** By module: `trainable_token_indices`. */
  readonly tokens: ReadonlyMap<string, TokenRows>;
  /** Whether a tensor that stands in `whole` is one of `modules_to_save`, which PEFT makes copies of. */
  savedModule(name: string): boolean;
  /** Whether a tied table that was saved stays tied. */
  readonly keepsTied: boolean;
}

/** Where an adapter's tensors lie. */
export function adapterWeights(folder: string): string {
  const found = [ADAPTER_WEIGHTS, PICKLED].map((name) => join(folder, name)).find(existsSync);
  if (found !== undefined) return found;
  throw new WhorlError('missing-file', `${folder} has no ${ADAPTER_WEIGHTS}`, 'download it');
}

/** @throws WhorlError `missing-file`, `bad-file`; `unsupported` naming the setting or tensor that is not handled */
export function readPeftAdapter(folder: string): PeftAdapter {
  const configPath = join(folder, ADAPTER_CONFIG);
  if (!existsSync(configPath))
    throw new WhorlError(
      'missing-file',
      `${folder} has no ${ADAPTER_CONFIG}`,
      'give a folder that PEFT or `whorl finetune --lora` wrote',
    );
  const weights = adapterWeights(folder);
  const config = readJsonObject(configPath, configPath);
  checkConfig(config, configPath);
  const { pairs, whole, tokens } = sortTensors(tensorsOf(weights), weights);
  const scaleOf = scales(config, configPath);
  const inLayers = layers(config, configPath);
  const byParameter = parameterTargets(config, configPath);
  const parts = new Map<string, LowRankPart>();
  const stackedParts = new Map<string, StackedPart>();
  for (const [module, pair] of pairs) {
    const leftOut = (why: string) =>
      new WhorlError(
        'mismatch',
        `${weights}: ${shown(module)} is ${why} in ${ADAPTER_CONFIG}`,
        'PEFT would leave it out; correct one of the two files',
      );
    const stacked = stackedParameter(config, module, configPath);
    if (stacked !== undefined) {
      const { a, b } = pair;
      stackedParts.set(stacked, { a, b, scale: (experts) => scaleOf(stacked, a.shape[0]! / experts) });
      continue;
    }
    if (!byParameter(`${module}.weight`)) {
      if (!targeted(module, config.target_modules)) throw leftOut('not among the target_modules');
      if (!inLayers(module)) throw leftOut('in no layer of layers_to_transform');
    }
    checkParts(module, pair, config, weights);
    parts.set(module, { ...pair, scale: scaleOf(module, pair.a.shape[0]!) });
  }
  const base = config.base_model_name_or_path;
  const saved = namesIn(config, 'modules_to_save', configPath);
  return {
    folder,
    base: typeof base === 'string' ? base : null,
    parts,
    stacked: stackedParts,
    whole,
    tokens: tokenRows(config, tokens, configPath),
    savedModule: (name) => savedIn(saved, name),
    keepsTied: config.ensure_weight_tying === true,
  };
}

/** A part that the config does not speak of PEFT leaves out, one that is missing it begins anew. */
function checkParts(
  module: string,
  { magnitude, bias, isEmbedding }: Pair,
  config: Readonly<Record<string, unknown>>,
  weights: string,
): void {
  const parts = { use_dora: ['lora_magnitude_vector', magnitude], lora_bias: ['lora_B.bias', bias] } as const;
  for (const [key, [name, ref]] of Object.entries(parts)) {
    const said = config[key] === true;
    if (said === (ref !== undefined) || (key === 'lora_bias' && isEmbedding)) continue;
    throw new WhorlError(
      'mismatch',
      `${weights}: ${shown(module)} has ${ref ? 'a' : 'no'} ${name}, but ${key} is ${said}`,
      'config and weights are of different adapters',
    );
  }
}

const tensorsOf = (weights: string): ReadonlyMap<string, TensorRef> =>
  weights.endsWith(PICKLED) ? torchTensors([weights]) : readSafetensorsHeader(weights, weights).tensors;

/** PEFT saves a module whose name ends so, wherever a name begins, with everything in it. */
function savedIn(saved: readonly string[], name: string): boolean {
  const path = name.split('.').slice(0, -1);
  return path.some((_, i) => {
    const module = path.slice(0, i + 1).join('.');
    return saved.some((end) => module.endsWith(end));
  });
}
