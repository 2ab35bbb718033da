// Sequences of different lengths as packed rows: linear layers see no padding, only attention is padded.

import { assert } from '../base/error.ts';
import type { Feed } from '../engine/session.ts';

/** A packed batch of B sequences, S the longest, T the rows in all. */
export interface Packed {
  readonly B: number;
  readonly S: number;
  readonly T: number;
  readonly lengths: readonly number[];
  /** Where each sequence's rows begin. */
  readonly offsets: readonly number[];
  readonly feeds: {
    readonly positions: Feed;
    readonly unpack: Feed;
    readonly pack: Feed;
    readonly live: Feed;
    readonly ones: Feed;
  };
}

/**
 * @param lengths rows of each sequence, each at least 1
 * @param starts position of each sequence's first row (the length of a cached prefix); default 0
 */
export function packLengths(lengths: readonly number[], starts?: readonly number[]): Packed {
  const B = lengths.length;
  const S = Math.max(...lengths);
  const T = lengths.reduce((a, b) => a + b, 0);
  assert(B > 0 && Math.min(...lengths) > 0, 'a batch has sequences, a sequence has rows');
  const [positions, unpack, pack, live] = [
    new Int32Array(T),
    new Int32Array(B * S),
    new Int32Array(T),
    new Float32Array(B * S),
  ];
  const offsets: number[] = [];
  let t = 0;
  lengths.forEach((length, b) => {
    offsets.push(t);
    for (let s = 0; s < length; s++, t++) {
      positions[t] = s + (starts?.[b] ?? 0);
      unpack[b * S + s] = t;
      pack[t] = b * S + s;
      live[b * S + s] = 1;
    }
  });
  const feeds = {
    positions: { data: positions, shape: [T] },
    unpack: { data: unpack, shape: [B, S] },
    pack: { data: pack, shape: [T] },
    live: { data: live, shape: [B, S] },
    ones: { data: new Float32Array(T).fill(1), shape: [T] },
  };
  return { B, S, T, lengths, offsets, feeds };
}

/** Additive causal mask [B, 1, 1, S, P + S]: row s sees its own prefix and rows up to itself. */
export function causalMask(
  packed: Packed,
  prefix?: { readonly size: number; readonly lengths: readonly number[] },
): Feed {
  const { B, S } = packed;
  const P = prefix?.size ?? 0;
  const C = P + S;
  const data = new Float32Array(B * S * C).fill(-1e30);
  for (let b = 0; b < B; b++)
    for (let s = 0; s < S; s++) {
      const row = (b * S + s) * C;
      data.fill(0, row, row + (prefix?.lengths[b] ?? 0));
      data.fill(0, row + P, row + P + s + 1);
    }
  return { data, shape: [B, 1, 1, S, C] };
}
