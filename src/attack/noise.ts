// A thief's noise: every embedding row moved at random by a share of its own size. With tied heads the head moves too.

import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { rowNoise } from '../train/noise.ts';
import { embeddingOf, everyRow, type Victim } from './embedding.ts';

/**
 * Writes `out` as a copy of `victim` with N(0, (share · RMS of the row)²) added to every number of its embedding.
 * Throws `exists`, `changed`.
 */
export async function writeNoisy(victim: Victim, out: string, share: number, seed: number): Promise<void> {
  const { name, ref } = embeddingOf(victim);
  const { data, shape } = readTensor(ref);
  const noise = rowNoise(data, shape[1]!, share, seed);
  const moved = data.map((x, i) => x + noise[i]!);
  const patch = { rows: everyRow(ref), bytes: fromFloat32(moved, floatDtype(ref)) };
  await writePatchedFolder(victim, out, new Map([[name, patch]]));
}
