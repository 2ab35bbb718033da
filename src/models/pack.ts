// Sequences of different lengths as packed rows: linear layers see no padding, only attention is padded.

import { assert, WhorlError } from '../base/error.ts';
import type { Feed } from '../engine/session.ts';
import type { Decoder } from './family.ts';

/** A packed batch of B sequences, S the longest, T the rows in all. */
export interface Packed {
  readonly B: number;
  readonly S: number;
  readonly T: number;
  readonly lengths: readonly number[];
  /** Where each sequence's rows begin. */
  readonly offsets: readonly number[];
  /** Position of each sequence's first row: the length of its cached prefix. */
  readonly starts: readonly number[];
  /** The sequence that each row belongs to. */
  readonly owner: Int32Array;
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
 * @param multiple of which S is one
 */
export function packLengths(
  lengths: readonly number[],
  starts: readonly number[] = lengths.map(() => 0),
  multiple = 1,
): Packed {
  const B = lengths.length;
  const S = Math.ceil(Math.max(...lengths) / multiple) * multiple;
  const T = lengths.reduce((a, b) => a + b, 0);
  assert(B > 0 && Math.min(...lengths) > 0, 'a batch has sequences, a sequence has rows');
  const [positions, owner, unpack, pack, live] = [
    new Int32Array(T),
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
      positions[t] = s + starts[b]!;
      owner[t] = b;
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
  return { B, S, T, lengths, offsets, starts, owner, feeds };
}

/** Sequences of which every distinct beginning is one row, however many share it; `owner` is one of those. */
export interface SharedPacked extends Omit<Packed, 'offsets'> {
  /** The token of each row. */
  readonly ids: Int32Array;
  /** The row of a sequence's token. */
  row(sequence: number, at: number): number;
}

/**
 * Packs sequences for a pass without gradients. A row's hidden state depends on the tokens up to it (and on `kinds`,
 * what else sequences differ in) alone, so contexts shared by several continuations go through the linear layers once;
 * only attention sees every sequence whole, which keeps each result the same bit for bit alone or in any batch.
 * @param least the least that S may be
 */
export function packShared(
  sequences: readonly (readonly number[])[],
  kinds: readonly unknown[] = [],
  least = 1,
): SharedPacked {
  const B = sequences.length;
  const lengths = sequences.map(({ length }) => length);
  const S = Math.max(least, ...lengths);
  assert(B > 0 && Math.min(...lengths) > 0, 'a batch has sequences, a sequence has rows');
  const [unpack, live] = [new Int32Array(B * S), new Float32Array(B * S)];
  const [ids, positions, pack]: [number[], number[], number[]] = [[], [], []];
  const roots = new Map<unknown, Map<number, number>>();
  const children: Map<number, number>[] = []; // each row's next tokens
  sequences.forEach((tokens, b) => {
    let next = roots.get(kinds[b]);
    if (!next) roots.set(kinds[b], (next = new Map()));
    tokens.forEach((token, s) => {
      let row = next!.get(token);
      if (row === undefined) {
        row = ids.length;
        next!.set(token, row);
        children.push(new Map());
        ids.push(token);
        positions.push(s);
        pack.push(b * S + s);
      }
      next = children[row]!;
      unpack[b * S + s] = row;
      live[b * S + s] = 1;
    });
  });
  // A matrix product with one row would take another kernel, with other last bits.
  if (ids.length === 1) for (const list of [ids, positions, pack]) list.push(list[0]!);
  const T = ids.length;
  return {
    B,
    S,
    T,
    lengths,
    starts: lengths.map(() => 0),
    ids: Int32Array.from(ids),
    owner: Int32Array.from(pack, (at) => Math.floor(at / S)),
    row: (sequence, at) => unpack[sequence * S + at]!,
    feeds: {
      positions: { data: Int32Array.from(positions), shape: [T] },
      unpack: { data: unpack, shape: [B, S] },
      pack: { data: Int32Array.from(pack), shape: [T] },
      live: { data: live, shape: [B, S] },
      ones: { data: new Float32Array(T).fill(1), shape: [T] },
    },
  };
}

/**
 * Additive causal mask [B, 1, 1, S, P + S]: row s sees its own prefix and rows up to itself, of all of them the last
 * `window`.
 */
export function causalMask(
  packed: Packed,
  prefix?: { readonly size: number; readonly lengths: readonly number[] },
  window = Number.POSITIVE_INFINITY,
): Feed {
  const { B, S } = packed;
  const P = prefix?.size ?? 0;
  const C = P + S;
  const data = new Float32Array(B * S * C).fill(-1e30);
  for (let b = 0; b < B; b++)
    for (let s = 0; s < S; s++) {
      const row = (b * S + s) * C;
      const before = prefix?.lengths[b] ?? 0;
      const first = Math.max(0, before + s + 1 - window); // of the sequence's positions, prefix included
      if (first < before) data.fill(0, row + first, row + before);
      data.fill(0, row + P + Math.max(0, first - before), row + P + s + 1);
    }
  return { data, shape: [B, 1, 1, S, C] };
}

/** The positions of keys [B, 1, 1, 1, P + S], a cached prefix in the first P places; 0 where nothing lies. */
export function keyPositions({ B, S, lengths, starts }: Packed, P: number): Feed {
  const data = new Float32Array(B * (P + S));
  lengths.forEach((length, b) => {
    const row = data.subarray(b * (P + S), (b + 1) * (P + S));
    for (let p = 0; p < Math.min(P, starts[b]!); p++) row[p] = p;
    for (let s = 0; s < length; s++) row[P + s] = starts[b]! + s;
  });
  return { data, shape: [B, 1, 1, 1, P + S] };
}

/**
 * @param extra positions decoded after the longest sequence
 * @throws WhorlError `unsupported` for a sequence that is longer than the model has positions
 */
export function checkFits(
  { longest, model_type }: Pick<Decoder, 'longest' | 'model_type'>,
  { lengths, starts }: Pick<Packed, 'lengths' | 'starts'>,
  extra = 0,
): void {
  const most = Math.max(...lengths.map((length, b) => starts[b]! + length));
  if (longest === undefined || most + extra <= longest) return;
  throw new WhorlError(
    'unsupported',
    `a text of ${most} tokens${extra > 0 ? ` and ${extra} to come` : ''} for a ${model_type} that has learnt ${longest} positions`,
    'use shorter texts',
  );
}
