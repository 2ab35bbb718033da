// Low-rank maps in training ↔ PEFT's adapter folder.

import { join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, PREFIX, readPeftAdapter } from '../sources/checkpoints/peft.ts';
import { readTensor } from '../sources/checkpoints/read.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { freshState, type TrainState } from './step.ts';

export interface AdapterShape {
  readonly rank: number;
  readonly alpha: number;
  /** What the config names as the base, for people and for PEFT's loading by name. */
  readonly base: string;
}

/** Writes the files into a folder that is there. @param state of a training of kind `low-rank` */
export function writePeftAdapter(
  state: TrainState,
  { rank, alpha, base }: AdapterShape,
  folder: string,
): void {
  const entries = [...state.slots].map(([name, { shape, value }]) => ({
    name: `${PREFIX}${name}.weight`,
    dtype: 'float32' as const,
    shape,
    value,
  }));
  const modules = new Set([...state.slots.keys()].map((name) => name.replace(/\.lora_[AB]$/, '')));
  writeSafetensors(join(folder, ADAPTER_WEIGHTS), entries, ({ value }) => [fromFloat32(value, 'float32')]);
  writeJsonAtomic(join(folder, ADAPTER_CONFIG), {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: false,
    init_lora_weights: true,
    // Whole names: PEFT takes them as they stand, and no other layer that ends like them.
    target_modules: [...modules],
  });
}

/**
 * A state that goes on from a saved adapter, with fresh moments.
 * @param scale of the maps in training (alpha / rank); the adapter's own must be the same
 * @throws WhorlError what reading throws; `mismatch` for an adapter scaled otherwise
 */
export function stateFromPeft(folder: string, scale: number): TrainState {
  const slots = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [module, part] of readPeftAdapter(folder).parts) {
    if (Math.abs(part.scale - scale) > 1e-9 * scale)
      throw new WhorlError(
        'mismatch',
        `${folder}: ${module} is scaled by ${part.scale}, training by ${scale}`,
        'give the same r and alpha',
      );
    if (part.base)
      throw new WhorlError(
        'unsupported',
        `${folder}: ${module} brings its own base layer`,
        'train on the merged model',
      );
    slots.set(`${module}.lora_A`, readTensor(part.a));
    slots.set(`${module}.lora_B`, readTensor(part.b));
  }
  return freshState(slots);
}
