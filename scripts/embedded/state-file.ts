// A training state as one safetensors file: values and both moments, float32, and the step.

import { existsSync } from 'node:fs';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import type { TrainState } from '../../src/train/step.ts';

const PARTS = ['value', 'm', 'v'] as const;

export async function saveState(path: string, state: TrainState): Promise<void> {
  const entries = [...state.slots].flatMap(([name, slot]) =>
    PARTS.map((part) => ({
      name: `${part}/${name}`,
      dtype: 'float32' as const,
      shape: slot.shape,
      data: slot[part],
    })),
  );
  const step = { name: 'step', dtype: 'float32' as const, shape: [1], data: Float32Array.of(state.step) };
  await writeSafetensors(path, [...entries, step], (entry) => [fromFloat32(entry.data, 'float32')]);
}

/** The saved state, or undefined where there is none. */
export function loadState(path: string): TrainState | undefined {
  if (!existsSync(path)) return undefined;
  const { tensors } = readSafetensorsHeader(path);
  const read = (name: string) => readTensor(tensors.get(name)!);
  const names = [...tensors.keys()]
    .filter((name) => name.startsWith('value/'))
    .map((name) => name.slice('value/'.length));
  const slots = names.map((name) => {
    const { shape, data } = read(`value/${name}`);
    return [name, { shape, value: data, m: read(`m/${name}`).data, v: read(`v/${name}`).data }] as const;
  });
  return { step: read('step').data[0]!, slots: new Map(slots) };
}
