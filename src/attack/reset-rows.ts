// A thief's broom: rows he takes for a fingerprint are set to something that says nothing.

import { WhorlError } from '../base/error.ts';
import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensor, readTensorRows } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { gaussian } from '../train/noise.ts';
import { embeddingOf, type Victim } from './embedding.ts';

/** The mean of all rows; the vanilla rows, where the thief has that model; numbers drawn as the whole table's are spread. */
export type ResetTo =
  | { readonly to: 'mean' }
  | { readonly to: 'vanilla'; readonly vanilla: Victim }
  | { readonly to: 'fresh'; readonly seed: number };

export const RESETS: readonly ResetTo['to'][] = ['mean', 'vanilla', 'fresh'];

/** Writes `out` as a copy of `victim` with the rows `ids` reset. Throws `exists`, `mismatch`, `changed`. */
export async function writeReset(
  victim: Victim,
  out: string,
  ids: ArrayLike<number>,
  reset: ResetTo,
): Promise<void> {
  const { name, ref } = embeddingOf(victim);
  const rows = newRows(victim, ids, reset);
  const patch = { rows: ids, bytes: fromFloat32(rows, floatDtype(ref)) };
  await writePatchedFolder(victim, out, new Map([[name, patch]]));
}

/** [ids, E] */
function newRows(victim: Victim, ids: ArrayLike<number>, reset: ResetTo): Float32Array {
  const { ref } = embeddingOf(victim);
  const width = ref.shape[1]!;
  if (reset.to === 'vanilla') {
    const own = embeddingOf(reset.vanilla).ref;
    if (own.shape[1] !== width)
      throw new WhorlError(
        'mismatch',
        `${own.file}: rows of ${own.shape[1]} numbers for a model of ${width}`,
        'give the vanilla model of this one',
      );
    return readTensorRows(own, ids);
  }
  const { data } = readTensor(ref);
  const out = new Float32Array(ids.length * width);
  if (reset.to === 'mean') {
    const mean = new Float64Array(width);
    data.forEach((x, i) => {
      mean[i % width]! += x / ref.shape[0]!;
    });
    return out.map((_, i) => mean[i % width]!);
  }
  const { mean, deviation } = spread(data);
  return gaussian(reset.seed, out.length).map((x) => mean + deviation * x);
}

function spread(data: Float32Array): { mean: number; deviation: number } {
  let [sum, square] = [0, 0];
  for (const x of data) {
    sum += x;
    square += x * x;
  }
  const mean = sum / data.length;
  return { mean, deviation: Math.sqrt(Math.max(0, square / data.length - mean * mean)) };
}
