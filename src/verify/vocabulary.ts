// Where a suspect keeps the rows of a vocabulary: at the same ids, or in another order, found by matching embedding rows. A
// function of the suspect and of the committed vanilla model, so it knows nothing of the draw.

import { readTensorRows } from '../sources/checkpoints/read.ts';
import type { TensorRef } from '../tensor/tensor.ts';

/** Rows of one model that are further apart than this are different tokens; training moves few rows, and those less. */
const SAME = 0.5;
/** Ids that are looked at to see whether the order is the same. */
const PROBES = 256;
/** Rows of the suspect that are compared at a time. */
const CHUNK = 4096;

/** The mean row, of evenly spaced ones: all rows of a trained table lean the same way. */
function meanRow(ref: TensorRef): Float32Array {
  const [count, width] = ref.shape as [number, number];
  const step = Math.ceil(count / CHUNK);
  const rows = readTensorRows(
    ref,
    range(0, count).filter((id) => id % step === 0),
  );
  const mean = new Float32Array(width);
  for (let i = 0; i < rows.length; i++) mean[i % width]! += (rows[i]! * width) / rows.length;
  return mean;
}

/** Rows [R, E] less the mean, of length 1. */
function unitRows(ref: TensorRef, ids: Int32Array, mean: Float32Array): Float32Array {
  const width = ref.shape[1]!;
  const rows = readTensorRows(ref, ids).slice();
  for (let at = 0; at < rows.length; at += width) {
    let square = 0;
    for (let e = 0; e < width; e++) {
      rows[at + e]! -= mean[e]!;
      square += rows[at + e]! ** 2;
    }
    const norm = Math.sqrt(square) || 1;
    for (let e = at; e < at + width; e++) rows[e]! /= norm;
  }
  return rows;
}

function dot(a: Float32Array, i: number, b: Float32Array, j: number, width: number): number {
  let sum = 0;
  for (let e = 0; e < width; e++) sum += a[i * width + e]! * b[j * width + e]!;
  return sum;
}

/**
 * Where the suspect has the rows of `ids`: at the same ids unless most others lie elsewhere, then each at the row that is nearest by
 * cosine, no row twice. Undefined where a row is found nowhere.
 * @param vanilla [V, E]; `suspect` [V', E]
 * @param ids may have been trained
 */
export function placesInVocabulary(
  vanilla: TensorRef,
  suspect: TensorRef,
  ids: Int32Array,
): Int32Array | undefined {
  const width = vanilla.shape[1]!;
  if (suspect.shape[1] !== width) return undefined;
  const [own, other] = [meanRow(vanilla), meanRow(suspect)];
  if (inOrder(vanilla, suspect, own, other, new Set(ids))) return ids;
  const wanted = unitRows(vanilla, ids, own);
  const best = new Float64Array(ids.length).fill(SAME);
  const places = new Int32Array(ids.length).fill(-1);
  for (let from = 0; from < suspect.shape[0]!; from += CHUNK) {
    const chunk = range(from, Math.min(suspect.shape[0]!, from + CHUNK));
    const rows = unitRows(suspect, chunk, other);
    for (let i = 0; i < ids.length; i++)
      for (let j = 0; j < chunk.length; j++) {
        const cosine = dot(wanted, i, rows, j, width);
        if (cosine > best[i]!) {
          best[i] = cosine;
          places[i] = from + j;
        }
      }
  }
  return places.every((place) => place >= 0) && new Set(places).size === ids.length ? places : undefined;
}

/** Whether half of some rows that no key has are where they were. */
function inOrder(
  vanilla: TensorRef,
  suspect: TensorRef,
  mean: Float32Array,
  otherMean: Float32Array,
  except: ReadonlySet<number>,
): boolean {
  const most = Math.min(vanilla.shape[0]!, suspect.shape[0]!);
  const step = Math.max(1, Math.floor(most / PROBES));
  const probes = range(0, most).filter((id) => id % step === 0 && !except.has(id));
  if (probes.length === 0) return true;
  const [own, other] = [unitRows(vanilla, probes, mean), unitRows(suspect, probes, otherMean)];
  const width = vanilla.shape[1]!;
  const same = probes.filter((_, i) => dot(own, i, other, i, width) > SAME).length;
  return 2 * same >= probes.length;
}

const range = (from: number, to: number): Int32Array =>
  Int32Array.from({ length: to - from }, (_, i) => from + i);
