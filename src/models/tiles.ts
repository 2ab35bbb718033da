// Packed sequences as attention sees them when they are scored: tiles of rows, and which tiles' keys each of them meets.

import type { Feed } from '../engine/session.ts';
import { maskInput, windowsOf } from './blocks/attention.ts';
import { bucketFeed } from './blocks/relative.ts';
import type { Decoder } from './family.ts';
import type { SharedPacked } from './pack.ts';

/** Rows of a tile. What a row's attention sums, and in which order, depends on its position in tiles alone. */
export const TILE = 64;

/** What a round costs beyond its products, as so many pairs of tiles. */
const ROUND = 1;
/** Pairs of tiles in one round: their scores are what memory goes to. */
const MOST_PAIRS = 64;

export type SightName = 'links' | 'ends' | 'hidden' | 'from' | 'to';

/** What an input of a window's layers is called. */
export const sightInput = (name: SightName, window: number | undefined): string =>
  window === undefined ? name : `${name}_${window}`;

interface Tile {
  readonly rows: readonly number[];
  /** Tiles before it in its sequence. */
  readonly level: number;
  /** A sequence that it is a part of. */
  readonly sequence: number;
}

/** One for each distinct piece of a sequence, from its start in steps of TILE; pieces that only begin another are left out. */
function tilesOf({ lengths, row }: SharedPacked): Tile[] {
  const tiles = new Map<number, Tile>(); // by the last row, which says all that came before
  const inside = new Set<number>();
  lengths.forEach((length, sequence) => {
    for (let from = 0; from < length; from += TILE) {
      const size = Math.min(TILE, length - from);
      const last = row(sequence, from + size - 1);
      if (tiles.has(last)) continue;
      const rows = Array.from({ length: size }, (_, i) => row(sequence, from + i));
      tiles.set(last, { rows, level: from / TILE, sequence });
      for (const each of rows.slice(0, -1)) inside.add(each);
    }
  });
  return [...tiles].filter(([last]) => !inside.has(last)).map(([, tile]) => tile);
}

/** Level by level, rounds of at most `width` tiles. */
function roundsOf(levels: readonly (readonly Tile[])[], width: number): Tile[][] {
  return levels.flatMap((tiles) =>
    Array.from({ length: Math.ceil(tiles.length / width) }, (_, i) => tiles.slice(i * width, (i + 1) * width)),
  );
}

/** Rounds of the width at which they cost least: a round is as wide as the widest, filled up with nothing. */
function widest(levels: readonly (readonly Tile[])[]): { rounds: Tile[][]; width: number } {
  const pairs = levels.length;
  const widths = levels.map(({ length }) => Math.max(1, Math.min(length, Math.floor(MOST_PAIRS / pairs))));
  const cost = (width: number): number =>
    levels.reduce(
      (sum, { length }, level) => sum + Math.ceil(length / width) * (width * (level + 1) + ROUND),
      0,
    );
  const width = widths.reduce((best, each) => (cost(each) < cost(best) ? each : best), 1);
  return { rounds: roundsOf(levels, width), width };
}

/**
 * Feeds of `tiledAttention` for B = R·W tiles, R rounds of W, all of a round equally far into their sequences.
 *
 * `links` [W, X]: the tiles, by kv head, whose keys each tile of each round meets, round after round along X; `ends` [R + 1]:
 * where a round's begin. `mask` [1, 1, 1, TILE, keys] is that of a tile at the end of all keys: a round with fewer takes its
 * last columns, those from `hidden`. `from` and `to`: positions of a round's keys.
 * @returns also the sequence that each tile belongs to
 */
export function tileFeeds(
  decoder: Decoder,
  packed: SharedPacked,
): { feeds: Record<string, Feed>; owner: Int32Array } {
  const { config, scores } = decoder;
  const { T } = packed;
  const K = config.num_key_value_heads;
  const tiles = tilesOf(packed);
  const levels: Tile[][] = [];
  for (const tile of tiles) (levels[tile.level] ??= []).push(tile);
  const { rounds, width: W } = widest(levels);
  const [R, B, keys] = [rounds.length, rounds.length * W, levels.length * TILE];
  const [unpack, live, owner] = [new Int32Array(B * TILE), new Float32Array(B * TILE), new Int32Array(B)];
  const place = new Map<number, number>(); // of each row among B·TILE
  const whole = new Map<number, number>(); // the tile that ends with a row
  for (const [n, round] of rounds.entries())
    for (const [w, { rows, sequence }] of round.entries()) {
      const tile = n * W + w;
      owner[tile] = sequence;
      whole.set(rows.at(-1)!, tile);
      for (const [i, row] of rows.entries()) {
        const at = tile * TILE + i;
        unpack[at] = row;
        live[at] = 1;
        if (!place.has(row)) place.set(row, at);
      }
    }
  const firsts = packed.feeds.pack.data; // where each row lies among all sequences: a row that stands twice has one place
  const every = packed.feeds.unpack.data;
  const pack = Int32Array.from({ length: T }, (_, t) => place.get(Number(every[Number(firsts[t])]))!);
  const vector = (numbers: readonly number[]): Feed => ({
    data: Int32Array.from(numbers),
    shape: [numbers.length],
  });
  const sight = (window: number | undefined): Record<string, Feed> => {
    const starts = rounds.map(([tile]) => firstSeen(tile!.level, window));
    const sizes = rounds.map(([tile], n) => tile!.level + 1 - starts[n]!);
    const ends = [0];
    for (const size of sizes) ends.push(ends.at(-1)! + size * K);
    const X = ends.at(-1)!;
    const links = new Int32Array(W * X);
    for (const [n, round] of rounds.entries())
      for (const [w, { level, sequence }] of round.entries())
        for (let head = 0; head < K; head++)
          for (let i = 0; i < sizes[n]!; i++) {
            const before = starts[n]! + i;
            const tile =
              before === level ? n * W + w : whole.get(packed.row(sequence, (before + 1) * TILE - 1))!;
            links[w * X + ends[n]! + head * sizes[n]! + i] = tile * K + head;
          }
    const named = {
      links: { data: links, shape: [W, X] },
      ends: vector(ends),
      hidden: vector(sizes.map((size) => keys - size * TILE)),
      from: vector(starts.map((start) => start * TILE)),
      to: vector(rounds.map(([tile]) => (tile!.level + 1) * TILE)),
    };
    return {
      ...Object.fromEntries(
        Object.entries(named).map(([name, feed]) => [sightInput(name as SightName, window), feed]),
      ),
      [maskInput(window)]: lastMask(keys, window),
    };
  };
  return {
    owner,
    feeds: {
      rounds: { data: Int32Array.of(R), shape: [] },
      unpack: { data: unpack, shape: [B, TILE] },
      live: { data: live, shape: [B, TILE] },
      pack: { data: pack, shape: [T] },
      ...Object.assign({}, ...windowsOf(decoder).map(sight)),
      ...(scores?.alibi && {
        key_positions: { data: Float32Array.from({ length: keys }, (_, i) => i), shape: [1, 1, 1, 1, keys] },
      }),
      ...(scores?.relative && { pairs: bucketFeed(scores.relative, [TILE, keys], false) }),
    },
  };
}

/** The first tile of which a tile at `level` sees anything. */
const firstSeen = (level: number, window = Number.POSITIVE_INFINITY): number =>
  Math.max(0, Math.floor((level * TILE - window + 1) / TILE));

/** What the last TILE of all rows see of them: themselves, and what is before them within the window. */
function lastMask(keys: number, window = Number.POSITIVE_INFINITY): Feed {
  const data = new Float32Array(TILE * keys).fill(-1e30);
  for (let s = 0; s < TILE; s++) {
    const position = keys - TILE + s;
    data.fill(0, s * keys + Math.max(0, position - window + 1), s * keys + position + 1);
  }
  return { data, shape: [1, 1, 1, TILE, keys] };
}
