// Packed sequences as attention sees them when they are scored: tiles of keys, and pieces of queries that meet them.

import type { Feed } from '../engine/session.ts';
import { maskInput, windowsOf } from './blocks/attention.ts';
import { bucketFeed } from './blocks/relative.ts';
import type { Decoder } from './family.ts';
import type { SharedPacked } from './pack.ts';

/** Keys of a tile. A query meets whole tiles, so what it sums, and in which order, depends on its position alone. */
export const TILE = 64;

/** Queries that go through one product: those of a whole tile, or of a short end behind a beginning that is shared. */
export const PIECES = { tile: TILE, end: 16 } as const;
export type Piece = keyof typeof PIECES;
/** Up to so many queries of a tile are cut into ends. */
const FEW = 2 * PIECES.end;

/** What a round costs beyond its products, in pairs of query and key. */
const ROUND = TILE * TILE;
/** Pairs in one round: their scores are what memory goes to. */
const MOST_PAIRS = 64 * TILE * TILE;

/** What an input of the rounds is called. */
export const pieceInput = (name: string, piece: Piece, window?: number): string =>
  `${name}_${piece}${window === undefined ? '' : `_${window}`}`;

interface Tile {
  readonly rows: readonly number[];
  /** Tiles before it in its sequence. */
  readonly level: number;
  /** A sequence that it is a part of. */
  readonly sequence: number;
}

/** Some rows of a tile, as queries. */
interface Queries {
  readonly tile: number;
  /** Their places in the tile. */
  readonly offsets: readonly number[];
}

/** One for each distinct part of a sequence, from its start in steps of TILE; parts that only begin another are left out. */
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

/** Every row once, in the first tile that has it. */
function piecesOf(tiles: readonly Tile[]): Record<Piece, Queries[]> {
  const pieces: Record<Piece, Queries[]> = { tile: [], end: [] };
  const done = new Set<number>();
  for (const [tile, { rows }] of tiles.entries()) {
    const offsets = [...rows.keys()].filter((at) => !done.has(rows[at]!));
    for (const row of rows) done.add(row);
    const piece = offsets.length > FEW ? 'tile' : 'end';
    for (let from = 0; from < offsets.length; from += PIECES[piece])
      pieces[piece].push({ tile, offsets: offsets.slice(from, from + PIECES[piece]) });
  }
  // A loop runs once at least: one without a round has no shape to make nothing of.
  const first = tiles.findIndex(({ level }) => level === 0);
  for (const own of Object.values(pieces)) if (own.length === 0) own.push({ tile: first, offsets: [] });
  return pieces;
}

/** Rounds of pieces of one level, at the width at which they cost least: each is as wide, filled up with nothing. */
function roundsOf(pieces: readonly Queries[], tiles: readonly Tile[], size: number) {
  const byLevel = new Map<number, Queries[]>();
  for (const piece of pieces) {
    const { level } = tiles[piece.tile]!;
    byLevel.set(level, [...(byLevel.get(level) ?? []), piece]);
  }
  const levels = [...byLevel].sort(([a], [b]) => a - b);
  const pairs = (width: number, level: number): number => width * size * (level + 1) * TILE;
  const cost = (width: number): number =>
    levels.reduce(
      (sum, [level, { length }]) => sum + Math.ceil(length / width) * (pairs(width, level) + ROUND),
      0,
    );
  const most = Math.max(1, Math.floor(MOST_PAIRS / pairs(1, levels.at(-1)![0])));
  const width = levels
    .map(([, { length }]) => Math.min(length, most))
    .reduce((best, each) => (cost(each) < cost(best) ? each : best), 1);
  const rounds = levels.flatMap(([level, own]) =>
    Array.from({ length: Math.ceil(own.length / width) }, (_, i) => ({
      level,
      pieces: own.slice(i * width, (i + 1) * width),
    })),
  );
  return { rounds, width };
}

const ints = (data: Int32Array, shape: readonly number[] = [data.length]): Feed => ({ data, shape });
const column = (numbers: readonly number[]): Feed => ints(Int32Array.from(numbers), [numbers.length, 1]);

/** Where a row's result is: that of its first head, and how far on each next one. */
interface Slot {
  readonly slot: number;
  readonly size: number;
}

/** Feeds of the rounds of one kind of piece, and where they leave what. */
function roundFeeds(
  decoder: Decoder,
  packed: SharedPacked,
  tiles: readonly Tile[],
  piece: Piece,
  pieces: readonly Queries[],
  keys: number,
): { feeds: Record<string, Feed>; slotOf: Map<number, Slot>; slots: number } {
  const { num_key_value_heads: K, num_attention_heads: H } = decoder.config;
  const size = PIECES[piece];
  const { rounds, width: W } = roundsOf(pieces, tiles, size);
  const R = rounds.length;
  const [queries, offsets] = [new Int32Array(R * W * H * size), new Int32Array(R * W * size)];
  const slotOf = new Map<number, Slot>();
  for (const [r, round] of rounds.entries())
    for (const [w, own] of round.pieces.entries()) {
      const at = r * W + w;
      offsets.set(own.offsets, at * size);
      for (const [i, offset] of own.offsets.entries()) {
        const row = tiles[own.tile]!.rows[offset]!;
        slotOf.set(row, { slot: at * H * size + i, size });
        for (let head = 0; head < H; head++) queries[(at * H + head) * size + i] = row * H + head;
      }
    }
  const whole = new Map(tiles.map(({ rows }, tile) => [rows.at(-1)!, tile]));
  const sight = (window: number | undefined): [string, Feed][] => {
    const starts = rounds.map(({ level }) => firstSeen(level, window));
    const sizes = rounds.map(({ level }, r) => level + 1 - starts[r]!);
    const ends = [0];
    for (const each of sizes) ends.push(ends.at(-1)! + each * K);
    const X = ends.at(-1)!;
    const links = new Int32Array(W * X);
    for (const [r, { level, pieces: round }] of rounds.entries())
      for (const [w, { tile }] of round.entries())
        for (let i = 0; i < sizes[r]!; i++) {
          const before = starts[r]! + i;
          const { sequence } = tiles[tile]!;
          const link = before === level ? tile : whole.get(packed.row(sequence, (before + 1) * TILE - 1))!;
          for (let head = 0; head < K; head++)
            links[w * X + ends[r]! + head * sizes[r]! + i] = link * K + head;
        }
    const named = {
      links: ints(links, [W, X]),
      ends: column(ends),
      hidden: column(sizes.map((each) => keys - each * TILE)),
      from: column(starts.map((first) => first * TILE)),
      to: column(rounds.map(({ level }) => (level + 1) * TILE)),
    };
    return Object.entries(named).map(([name, feed]) => [pieceInput(name, piece, window), feed]);
  };
  const feeds = {
    [pieceInput('rounds', piece)]: ints(Int32Array.of(R), []),
    [pieceInput('queries', piece)]: ints(queries, [R, W, K, (H / K) * size]),
    [pieceInput('offsets', piece)]: ints(offsets, [R, W, size]),
    ...Object.fromEntries(windowsOf(decoder).flatMap(sight)),
  };
  return { feeds, slotOf, slots: R * W * H * size };
}

/**
 * Feeds of `tiledAttention`: U tiles of keys, and for each kind of piece R rounds of W pieces that are equally far into their
 * sequences.
 *
 * `key_rows` [U, K, TILE]: rows of T·K; `queries` [R, W, K, G·size]: rows of T·H, and `offsets` [R, W, size] their places in
 * their tiles. `links` [W, X]: the tiles, by kv head, whose keys each piece meets, round after round along X; `ends` [R + 1, 1]:
 * where a round's begin. `mask` [TILE, keys] is that of a tile at the end of all keys: a round with fewer takes its last
 * columns, those from `hidden`. `from` and `to`: positions of a round's keys. `attended` [T, H]: where each row's result is.
 */
export function tileFeeds(decoder: Decoder, packed: SharedPacked): Record<string, Feed> {
  const { config, scores } = decoder;
  const { num_key_value_heads: K, num_attention_heads: H } = config;
  const tiles = tilesOf(packed);
  const U = tiles.length;
  const keys = TILE * Math.max(...tiles.map(({ level }) => level + 1));
  const keyRows = new Int32Array(U * K * TILE);
  for (const [tile, { rows }] of tiles.entries())
    for (let head = 0; head < K; head++)
      for (const [i, row] of rows.entries()) keyRows[(tile * K + head) * TILE + i] = row * K + head;
  const slotOf = new Map<number, Slot>();
  const pieces = piecesOf(tiles);
  let slots = 0;
  const feeds = (Object.keys(PIECES) as Piece[]).map((piece) => {
    const made = roundFeeds(decoder, packed, tiles, piece, pieces[piece], keys);
    for (const [row, { slot, size }] of made.slotOf) slotOf.set(row, { slot: slots + slot, size });
    slots += made.slots;
    return made.feeds;
  });
  const attended = new Int32Array(packed.T * H);
  for (let row = 0; row < packed.T; row++) {
    // A row that is there only because a product has two is the first one again.
    const { slot, size } = slotOf.get(row) ?? slotOf.get(0)!;
    for (let head = 0; head < H; head++) attended[row * H + head] = slot + head * size;
  }
  return {
    ...Object.assign({}, ...feeds),
    key_rows: ints(keyRows, [U, K, TILE]),
    attended: ints(attended, [packed.T, H]),
    ...Object.fromEntries(windowsOf(decoder).map((window) => [maskInput(window), lastMask(keys, window)])),
    ...(scores?.alibi && {
      key_positions: { data: Float32Array.from({ length: keys }, (_, i) => i), shape: [1, 1, 1, 1, keys] },
    }),
    ...(scores?.relative && { pairs: bucketFeed(scores.relative, [TILE, keys], false) }),
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
  return { data, shape: [TILE, keys] };
}
