// Low-rank maps in training ↔ PEFT's adapter folder.

import { join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { Decoder } from '../models/family.ts';
import { ownNames } from '../models/names.ts';
import { ADAPTER_WEIGHTS, readPeftAdapter } from '../sources/checkpoints/peft.ts';
import { ADAPTER_CONFIG } from '../sources/checkpoints/peft-config.ts';
import { PREFIX } from '../sources/checkpoints/peft-tensors.ts';
import { readTensor } from '../sources/checkpoints/read.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { freshState, type TrainState } from './step.ts';
import { lowRankPart } from './trains.ts';

export interface AdapterShape {
  readonly rank: number;
  readonly alpha: number;
  /** What the config names as the base, for people and for PEFT's loading by name. */
  readonly base: string;
  /** Of the base model, where its folder has other names than transformers or matrices stored [in, out]. */
  readonly decoder?: Named;
}

type Named = Pick<Decoder, 'shapes' | 'canonical' | 'transposed' | 'encoder'>;

/** A module of the folder as transformers calls it. */
const canonicalModule = (module: string, { canonical }: Partial<Named> = {}): string =>
  canonical ? canonical(`${module}.weight`).replace(/\.weight$/, '') : module;

const moduleOf = (slot: string): string => slot.slice(0, slot.lastIndexOf('.'));
const partOf = (slot: string): string => slot.slice(slot.lastIndexOf('.') + 1);
/** A linear layer's parts are modules of their own to PEFT, an embedding's are tensors. */
const savedPart = (part: string): string => (part.startsWith('lora_embedding_') ? part : `${part}.weight`);

/** Writes the files into a folder that is there. @param state of a training of kind `low-rank` */
export async function writePeftAdapter(
  state: TrainState,
  { rank, alpha, base, decoder }: AdapterShape,
  folder: string,
): Promise<void> {
  const entries = [...state.slots].map(([name, { shape, value }]) => ({
    name: `${PREFIX}${canonicalModule(moduleOf(name), decoder)}.${savedPart(partOf(name))}`,
    dtype: 'float32' as const,
    shape,
    value,
  }));
  const modules = [...new Set([...state.slots.keys()].map(moduleOf))];
  await writeSafetensors(join(folder, ADAPTER_WEIGHTS), entries, ({ value }) => [
    fromFloat32(value, 'float32'),
  ]);
  writeJsonAtomic(join(folder, ADAPTER_CONFIG), {
    peft_type: 'LORA',
    task_type: decoder?.encoder ? 'SEQ_2_SEQ_LM' : 'CAUSAL_LM',
    base_model_name_or_path: base,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: modules.some((module) => decoder?.transposed?.(`${module}.weight`)),
    use_rslora: false,
    init_lora_weights: true,
    // Whole names: PEFT takes them as they stand, and no other layer that ends like them.
    target_modules: modules.map((module) => canonicalModule(module, decoder)),
  });
}

/**
 * A state that goes on from a saved adapter, with fresh moments.
 * @param scale of the maps in training (alpha / rank); the adapter's own must be the same
 * @param decoder of the base model, where its folder has other names than transformers
 * @throws WhorlError what reading throws; `mismatch` for an adapter scaled otherwise
 */
export function stateFromPeft(
  folder: string,
  scale: number,
  decoder: Named = { shapes: new Map() },
): TrainState {
  const own = ownNames(decoder);
  const slots = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const { parts, stacked, whole, tokens } = readPeftAdapter(folder);
  const further = [...stacked.keys(), ...whole.keys(), ...tokens.keys()][0];
  if (further !== undefined)
    throw new WhorlError(
      'unsupported',
      `${folder} holds more than low-rank maps: ${further}`,
      'merge it first (whorl merge), and train on the merged model',
    );
  for (const [module, part] of parts) {
    if (Math.abs(part.scale - scale) > 1e-9 * scale)
      throw new WhorlError(
        'mismatch',
        `${folder}: ${module} is scaled by ${part.scale}, training by ${scale}`,
        'give the same r and alpha',
      );
    if (part.base ?? part.magnitude ?? part.bias)
      throw new WhorlError(
        'unsupported',
        `${folder}: ${module} has more than a low-rank map (a base layer, magnitudes or a bias)`,
        'train on the merged model',
      );
    const name = own(`${module}.weight`);
    slots.set(lowRankPart(name, 'A', part.isEmbedding), readTensor(part.a));
    slots.set(lowRankPart(name, 'B', part.isEmbedding), readTensor(part.b));
  }
  return freshState(slots);
}
