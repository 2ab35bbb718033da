// PEFT's LoRA adapters (adapter_config.json, adapter_model.safetensors): read with the eye of a stranger, and written so
// that PEFT opens them. What changes an adapter's function and is not here is refused by name.

import { join } from 'node:path';
import { writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { readJsonObject } from '../strict-json.ts';
import { fileIn, shownIn, sourceFolder } from './folder.ts';
import { readTensor } from './read.ts';
import { readSafetensorsHeader, shown } from './safetensors.ts';
import { writeSafetensors } from './write-safetensors.ts';

/** A low-rank map on one linear layer: W + scale·B·A. */
export interface LoraMap {
  /** As the model names the layer, without `.weight`. */
  readonly module: string;
  /** [rank, in] and [out, rank]. */
  readonly A: FloatTensor;
  readonly B: FloatTensor;
  readonly scale: number;
}

export interface PeftAdapter {
  readonly maps: readonly LoraMap[];
  /** What the file says it was trained on; nobody vouches for it. */
  readonly base: string | undefined;
}

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';
const KEY = /^base_model\.model\.(.+)\.lora_(A|B)\.weight$/;

type Json = Readonly<Record<string, unknown>>;
const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (Array.isArray(value) ? value.length === 0 : typeof value === 'object' && Object.keys(value).length === 0);

/** Switches with which the same tensors mean something else. */
const REFUSED = [
  'use_dora',
  'modules_to_save',
  'fan_in_fan_out',
  'layer_replication',
  'lora_bias',
  'target_parameters',
  'trainable_token_indices',
  'use_qalora',
  'alora_invocation_tokens',
  'arrow_config',
  'use_bdlora',
] as const;

/**
 * @throws WhorlError `missing-file`, `bad-file` for what is no adapter, `unsupported` naming the switch of another kind
 */
export function readPeftAdapter(given: string): PeftAdapter {
  const folder = sourceFolder(given);
  const [configPath, weightsPath] = [fileIn(folder, CONFIG), fileIn(folder, WEIGHTS)];
  if (configPath === undefined)
    throw new WhorlError(
      'missing-file',
      `${given} has no ${CONFIG}`,
      "give a folder that PEFT's save_pretrained wrote",
    );
  if (weightsPath === undefined)
    throw new WhorlError(
      'missing-file',
      `${given} has no ${WEIGHTS}`,
      fileIn(folder, 'adapter_model.bin')
        ? 'save it again with safe_serialization=True: a pickle is not read'
        : 'get the adapter again',
    );
  const name = shownIn(folder, CONFIG);
  const config = readJsonObject(configPath, name) as Json;
  checkKind(config, name);
  const scaleOf = scales(config, name);
  const { tensors } = readSafetensorsHeader(weightsPath, shownIn(folder, WEIGHTS));
  const parts = new Map<string, { A?: FloatTensor; B?: FloatTensor }>();
  for (const [key, ref] of tensors) {
    const [, module, part] = KEY.exec(key) ?? [];
    if (module === undefined)
      throw new WhorlError(
        'unsupported',
        `${shownIn(folder, WEIGHTS)}: ${shown(key)} is no part of a LoRA map`,
      );
    const own = parts.get(module) ?? {};
    parts.set(module, { ...own, [part!]: readTensor(ref) });
  }
  const maps = [...parts].map(([module, { A, B }]): LoraMap => {
    const rank = A?.shape[0];
    if (!A || !B || A.shape.length !== 2 || B.shape.length !== 2 || B.shape[1] !== rank || rank === 0)
      throw new WhorlError(
        'bad-file',
        `${shownIn(folder, WEIGHTS)}: ${shown(module)} has not both an A [r, in] and a B [out, r]`,
        'get the adapter again',
      );
    return { module, A, B, scale: scaleOf(module, rank!) };
  });
  if (maps.length === 0) throw new WhorlError('bad-file', `${shownIn(folder, WEIGHTS)} holds no map`);
  const base = config.base_model_name_or_path;
  return { maps, base: typeof base === 'string' && base !== '' ? base : undefined };
}

function checkKind(config: Json, name: string): void {
  if (config.peft_type !== 'LORA')
    throw new WhorlError(
      'unsupported',
      `${name}: peft_type is ${JSON.stringify(config.peft_type)}, not "LORA"`,
    );
  if (config.bias !== undefined && config.bias !== 'none')
    throw new WhorlError(
      'unsupported',
      `${name}: bias is ${JSON.stringify(config.bias)}`,
      'only "none" is read',
    );
  const other = REFUSED.find((key) => !isEmpty(config[key]));
  if (other !== undefined)
    throw new WhorlError('unsupported', `${name}: ${other} is set, which Whorl does not read`);
}

/** alpha / rank (or / √rank) of a layer. Patterns are plain ends of names: a stranger's regular expression is not run. */
function scales(config: Json, name: string): (module: string, rank: number) => number {
  const number = (value: unknown, what: string): number => {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new WhorlError('bad-file', `${name}: ${what} is no number`);
  };
  const pattern = (key: string): [string, number][] => {
    const value = config[key];
    if (isEmpty(value)) return [];
    if (typeof value !== 'object' || Array.isArray(value))
      throw new WhorlError('bad-file', `${name}: ${key} is no map`);
    return Object.entries(value as Json).map(([end, item]) => {
      if (!/^[\w.]+$/.test(end))
        throw new WhorlError(
          'unsupported',
          `${name}: ${key} names layers by the expression ${shown(end)}`,
          'name each layer by the end of its name',
        );
      return [end, number(item, `${key}.${end}`)];
    });
  };
  const alphas = pattern('alpha_pattern');
  pattern('rank_pattern'); // ranks stand in the tensors' shapes
  const alpha = number(config.lora_alpha, 'lora_alpha');
  const root = config.use_rslora === true;
  return (module, rank) => {
    const own = alphas.find(([end]) => module === end || module.endsWith(`.${end}`))?.[1] ?? alpha;
    return own / (root ? Math.sqrt(rank) : rank);
  };
}

/** Into a folder that is there. All maps have one rank and scale. @param base what the adapter belongs to, as PEFT finds it */
export function writePeftAdapter(folder: string, maps: readonly LoraMap[], base: string): void {
  const [{ A, scale }] = maps as readonly [LoraMap];
  const rank = A.shape[0]!;
  writeJsonAtomic(join(folder, CONFIG), {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: scale * rank,
    lora_dropout: 0,
    target_modules: [...new Set(maps.map(({ module }) => module.slice(module.lastIndexOf('.') + 1)))].sort(),
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    modules_to_save: null,
    use_rslora: false,
    use_dora: false,
  });
  const entries = maps.flatMap(({ module, A, B }) =>
    [['A', A] as const, ['B', B] as const].map(([part, { shape, data }]) => ({
      name: `${PREFIX}${module}.lora_${part}.weight`,
      dtype: 'float32' as const,
      shape: [...shape],
      data,
    })),
  );
  writeSafetensors(join(folder, WEIGHTS), entries, ({ data }) => [
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
}
