// Tables of rotary positions for a packed batch. A sequence's rows in them depend on that sequence alone.

import { WhorlError } from '../../base/error.ts';
import type { Feed } from '../../engine/session.ts';
import type { Packed } from '../pack.ts';
import type { Rope } from '../rope.ts';
import { ROPE_KINDS } from './rope-scaling.ts';

const round = Math.fround;

/** `cos` of the first rope, `cos_1` of the second: what the inputs of a graph are called. */
export const ropeInput = (name: 'cos' | 'sin' | 'positions', rope: number): string =>
  rope === 0 ? name : `${name}_${rope}`;

/** The longest sequence in which every rope turns a position as in a short one. */
export const fixedUpTo = (ropes: readonly Rope[]): number =>
  Math.min(
    Number.POSITIVE_INFINITY,
    ...ropes.map((rope) => ROPE_KINDS[rope.rope_scaling.rope_type].fixedUpTo(rope)),
  );

/**
 * The feeds of every rope: cos and sin, each [rows, dim/2], and for each packed row the row of them it takes.
 * @param extra positions decoded after the longest sequence
 */
export function ropeFeeds(
  ropes: readonly Rope[],
  packed: Pick<Packed, 'lengths' | 'starts' | 'owner' | 'feeds'>,
  extra = 0,
): Record<string, Feed> {
  return Object.fromEntries(
    ropes.flatMap((rope, i) =>
      Object.entries(ropeTables(rope, packed, extra)).map(([name, feed]) => [
        ropeInput(name as keyof RopeTables, i),
        feed,
      ]),
    ),
  );
}

interface RopeTables {
  readonly cos: Feed;
  readonly sin: Feed;
  readonly positions: Feed;
}

/**
 * cos and sin, each [rows, dim/2], and for each packed row the row of them it takes.
 *
 * Row p of the tables is position p under the frequencies of a sequence of p + 1 tokens: what decoding needs for the
 * token at p, and, as long as frequencies do not depend on the length, what everything needs. Where they do (`dynamic`,
 * `longrope`, beyond the original length), a sequence of n tokens turns by the frequencies of n at every position, as transformers
 * does when it is given that sequence alone; such lengths have rows of their own after the first ones. A token decoded at
 * p turns by those of p + 1 and stays so in the cache, again as in transformers. Its own length counts, never the batch's.
 * @param extra positions decoded after the longest sequence
 */
export function ropeTables(
  rope: Rope,
  packed: Pick<Packed, 'lengths' | 'starts' | 'owner' | 'feeds'>,
  extra = 0,
): RopeTables {
  const ends = packed.lengths.map((length, b) => packed.starts[b]! + length);
  const decoding = decodingTables(rope, Math.max(...ends) + extra);
  const fixed = ROPE_KINDS[rope.rope_scaling.rope_type].fixedUpTo(rope);
  const long = [...new Set(ends.filter((end) => end > fixed))];
  if (long.length === 0) return { ...decoding, positions: packed.feeds.positions };
  if (ends.some((end, b) => end > fixed && packed.starts[b]! > 0))
    throw new WhorlError(
      'unsupported',
      `a cached prefix in a sequence beyond the ${fixed} positions up to which ${rope.rope_scaling.rope_type} RoPE is fixed`,
      'use shorter texts',
    );
  const parts = [decoding];
  const first = new Map<number, number>(); // a length's first row in the tables
  let rows = decoding.cos.shape[0]!;
  for (const length of long) {
    parts.push(tables(rope, length, () => length));
    first.set(length, rows);
    rows += length;
  }
  const positions = (packed.feeds.positions.data as Int32Array).map(
    (position, t) => position + (first.get(ends[packed.owner[t]!]!) ?? 0),
  );
  return {
    cos: stacked(parts.map(({ cos }) => cos)),
    sin: stacked(parts.map(({ sin }) => sin)),
    positions: { data: positions, shape: packed.feeds.positions.shape },
  };
}

interface Tables {
  readonly cos: Feed;
  readonly sin: Feed;
}

const known = new Map<string, Tables>();

/** Position p as in a sequence of p + 1. `count` is rounded up so that few tables are made. */
function decodingTables(rope: Rope, count: number): Tables {
  const rows = Math.max(64, 2 ** Math.ceil(Math.log2(count)));
  const key = JSON.stringify([rope, rows]);
  const made = known.get(key) ?? tables(rope, rows, (p) => p + 1);
  known.set(key, made);
  return made;
}

/** cos and sin of position · frequency, positions 0 to rows − 1, each as in a sequence of `lengthAt(p)` tokens. */
function tables(rope: Rope, rows: number, lengthAt: (p: number) => number): Tables {
  const kind = ROPE_KINDS[rope.rope_scaling.rope_type];
  const fixed = kind.fixedUpTo(rope);
  const half = rope.dim / 2;
  const scale = round(rope.rope_scaling.attention_factor ?? 1);
  const cos = new Float32Array(rows * half);
  const sin = new Float32Array(rows * half);
  let [length, frequencies] = [0, [] as number[]];
  for (let p = 0; p < rows; p++) {
    const wanted = lengthAt(p);
    if (p === 0 || (wanted > fixed && wanted !== length)) {
      length = wanted;
      frequencies = kind.frequencies(rope, length);
    }
    for (let i = 0; i < half; i++) {
      const angle = round(p * frequencies[i]!);
      cos[p * half + i] = scale * round(Math.cos(angle));
      sin[p * half + i] = scale * round(Math.sin(angle));
    }
  }
  return { cos: { data: cos, shape: [rows, half] }, sin: { data: sin, shape: [rows, half] } };
}

function stacked(parts: readonly Feed[]): Feed {
  const [, half] = parts[0]!.shape;
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const data = new Float32Array(rows * half!);
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return { data, shape: [rows, half!] };
}
