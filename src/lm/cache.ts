// Key-value caches between two runs of the engine: rows picked, repeated and given room for what comes next.

import type { Feed } from '../engine/session.ts';

/** One tensor a layer and kind, each [B, K, room, D] float32. */
export type CacheFeeds = Readonly<Record<string, Feed>>;

/** Positions that caches have room for. */
export const roomOf = (caches: CacheFeeds): number => Object.values(caches)[0]!.shape[2]!;

/** Whether these are all rows in their order, so that the caches can go in again as they came out. */
export const areWhole = (caches: CacheFeeds, rows: readonly number[]): boolean =>
  rows.length === Object.values(caches)[0]!.shape[0] && rows.every((row, i) => row === i);

/**
 * The rows `rows` of `caches` (repeats are allowed), each with `length[i]` positions kept and room for `room` in all.
 * What lies behind a row's length is zero: no attention reads it.
 */
export function layCaches(
  caches: CacheFeeds,
  rows: readonly number[],
  lengths: readonly number[],
  room: number,
): Record<string, Feed> {
  return Object.fromEntries(
    Object.entries(caches).map(([name, { data, shape }]) => {
      const [, K, before, D] = shape as readonly [number, number, number, number];
      const from = data as Float32Array;
      const to = new Float32Array(rows.length * K * room * D);
      rows.forEach((row, i) => {
        for (let head = 0; head < K; head++) {
          const start = (row * K + head) * before * D;
          to.set(from.subarray(start, start + lengths[i]! * D), (i * K + head) * room * D);
        }
      });
      return [name, { data: to, shape: [rows.length, K, room, D] }];
    }),
  );
}

/** Bytes that one position of one sequence takes. */
export const positionBytes = (config: {
  readonly num_hidden_layers: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
}): number => config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4;
