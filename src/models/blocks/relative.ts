// Relative positions as T5 has them (Raffel et al. 2020): each distance has a class, near ones one of their own, farther
// ones logarithmically wider, and each class a learnt number a head that is added to the scores.

import type { Value } from '../../engine/graph.ts';
import { cast } from '../../engine/ops/arithmetic.ts';
import { gather } from '../../engine/ops/gather.ts';
import { constant } from '../../engine/ops/leaves.ts';
import { reshape, transpose } from '../../engine/ops/shape.ts';
import type { Feed } from '../../engine/session.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { RelativeBuckets } from '../family.ts';

/** The class of a key that stands `back` places before its query (negative: after it), in float32 as transformers computes it. */
function bucketOf({ buckets, distance }: RelativeBuckets, back: number, bothWays: boolean): number {
  const count = bothWays ? buckets >> 1 : buckets;
  const after = bothWays && back < 0 ? count : 0;
  const far = bothWays ? Math.abs(back) : Math.max(0, back);
  const exact = count >> 1;
  if (far < exact) return after + far;
  const { fround } = Math;
  const grown = fround(fround(Math.log(fround(far / exact))) / fround(Math.log(distance / exact)));
  return after + Math.min(count - 1, exact + Math.trunc(fround(grown * (count - exact))));
}

/** The class of every pair of the last `queries` rows with each of `keys` rows, int32 [queries·keys]. */
export function bucketFeed(
  relative: RelativeBuckets,
  [queries, keys]: readonly [number, number],
  bothWays: boolean,
): Feed {
  const data = new Int32Array(queries * keys);
  const known = Array.from({ length: queries + keys - 1 }, (_, i) =>
    bucketOf(relative, i - queries + 1, bothWays),
  );
  for (let q = 0; q < queries; q++)
    for (let k = 0; k < keys; k++) data[q * keys + k] = known[keys - 1 + q - k]!;
  return { data, shape: [queries * keys] };
}

/** A table [buckets, H] by the classes of pairs [queries·keys] → what is added to scores, [H, queries, keys]. */
export const pairBias = (
  table: Value,
  pairs: Value,
  H: number,
  [queries, keys]: readonly [Dim, Dim],
): Value => transpose(reshape(cast(gather(table, pairs), 'float32'), [queries, keys, H]), [2, 0, 1]);

/** The same by how many places back a key stands, [M, H]; farther ones are as the last. */
export function backBias(relative: RelativeBuckets, table: Value): Value {
  const rows = Array.from({ length: relative.distance + 1 }, (_, back) => bucketOf(relative, back, false));
  return cast(gather(table, constant(table.scope, 'int32', [rows.length], rows)), 'float32');
}
