// The passive baseline: what the suspect's rows look like beside vanilla's and the published ones. No p-value rests on it.

import type { RowsRecord } from '../claim/secret-contents.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import { floatDtype, readRowBytes, readTensorRows } from '../sources/checkpoints/read.ts';
import { toFloat32 } from '../tensor/convert.ts';

export interface Passive {
  /** Trained rows that the suspect has. */
  readonly rows: number;
  /** Share of them that equal the published ones bit for bit; in another dtype, after rounding. */
  readonly bit_equal: number;
  /** Mean cosine between what training changed and how the suspect differs from vanilla; null where nothing differs. */
  readonly cosine: number | null;
}

/** Null where the suspect's embedding has another width or too few rows: then it is no descendant by weights. */
export function passiveBaseline(record: RowsRecord, suspect: Checkpoint): Passive | null {
  const ref = suspect.tensors.get(record.tensor);
  if (!ref || ref.shape[1] !== record.width || record.ids.some((id) => id >= ref.shape[0]!)) return null;
  const decode = (base64: string) => toFloat32(Buffer.from(base64, 'base64'), record.dtype);
  const [vanilla, published] = [decode(record.vanilla), decode(record.published)];
  const own = readTensorRows(ref, record.ids);
  const sameDtype = floatDtype(ref) === record.dtype;
  const ownBytes = sameDtype ? readRowBytes(ref, record.ids) : undefined;
  const publishedBytes = Buffer.from(record.published, 'base64');
  const E = record.width;
  const size = publishedBytes.length / record.ids.length;
  let equal = 0;
  const cosines: number[] = [];
  record.ids.forEach((_, r) => {
    const same = ownBytes
      ? Buffer.compare(
          ownBytes.subarray(r * size, (r + 1) * size),
          publishedBytes.subarray(r * size, (r + 1) * size),
        ) === 0
      : published
          .subarray(r * E, (r + 1) * E)
          .every((x, e) => Math.abs(x - own[r * E + e]!) <= Math.abs(x) * 2 ** -8);
    if (same) equal++;
    let [dot, a, b] = [0, 0, 0];
    for (let i = r * E; i < (r + 1) * E; i++) {
      const [trained, now] = [published[i]! - vanilla[i]!, own[i]! - vanilla[i]!];
      dot += trained * now;
      a += trained * trained;
      b += now * now;
    }
    if (a > 0 && b > 0) cosines.push(dot / Math.sqrt(a * b));
  });
  return {
    rows: record.ids.length,
    bit_equal: record.ids.length > 0 ? equal / record.ids.length : 0,
    cosine: cosines.length > 0 ? cosines.reduce((x, y) => x + y, 0) / cosines.length : null,
  };
}
