// Causal attention of scoring: few queries at a time, over the tiles of keys up to their own and no others, round by round.
// No scores that a whole tile of the mask would hide are made, and a beginning that sequences share is attended to once.

import type { Graph, Value } from '../../engine/graph.ts';
import { add, greaterEqual } from '../../engine/ops/arithmetic.ts';
import { gather } from '../../engine/ops/gather.ts';
import { constant, input } from '../../engine/ops/leaves.ts';
import { loop } from '../../engine/ops/loop.ts';
import { concat, reshape, sliceAt, transpose } from '../../engine/ops/shape.ts';
import type { Decoder, ForwardInput } from '../family.ts';
import { PIECES, type Piece, pieceInput, TILE } from '../tiles.ts';
import {
  alibiOf,
  maskInput,
  noSource,
  type PackInputs,
  type Pad,
  padding,
  type RopeInputs,
  rotation,
  weighed,
  windowsOf,
} from './attention.ts';
import { pairBias } from './relative.ts';

/** The rounds of queries of one size (tiles.ts says what is fed). */
interface Rounds {
  readonly size: number;
  readonly count: Value; // int32
  readonly queries: Value; // int32 [R, W, K, G·size]
  readonly offsets: Value; // int32 [R, W, size]
  /** By window. */
  readonly sights: ReadonlyMap<number | undefined, Sight>;
}

/** What a round sees of keys, in layers of one window. */
interface Sight {
  readonly links: Value; // int32 [W, X]
  readonly ends: Value; // int32 [R + 1, 1]
  readonly hidden: Value; // int32 [R, 1]
  readonly from?: Value | undefined; // int32 [R, 1]
  readonly to?: Value | undefined; // int32 [R, 1]
}

function roundsInputs(graph: Graph, decoder: Decoder, piece: Piece): Rounds {
  const { num_attention_heads: H, num_key_value_heads: K } = decoder.config;
  const size = PIECES[piece];
  const [R, W] = [`R_${piece}`, `W_${piece}`];
  const ints = (name: string, shape: (string | number)[], window?: number) =>
    input(graph, pieceInput(name, piece, window), 'int32', shape);
  const sight = (window: number | undefined): Sight => ({
    links: ints('links', [W, pieceInput('X', piece, window)], window),
    ends: ints('ends', [`ends_${piece}`, 1], window),
    hidden: ints('hidden', [R, 1], window),
    ...(decoder.scores?.alibi && { from: ints('from', [R, 1], window), to: ints('to', [R, 1], window) }),
  });
  return {
    size,
    count: ints('rounds', []),
    queries: ints('queries', [R, W, K, (H / K) * size]),
    offsets: ints('offsets', [R, W, size]),
    sights: new Map(windowsOf(decoder).map((window) => [window, sight(window)])),
  };
}

/** Attention of packed rows whose keys are cut into U tiles. */
export function tiledAttention(
  graph: Graph,
  decoder: Decoder,
  pack: PackInputs,
  rope: readonly RopeInputs[],
  source?: (rows: Pad) => ForwardInput['attendSource'],
): ForwardInput {
  const { num_attention_heads: H, num_key_value_heads: K, head_dim: D } = decoder.config;
  const { alibi, relative } = decoder.scores ?? {};
  const G = H / K;
  const pieces = (Object.keys(PIECES) as Piece[]).map((piece) => roundsInputs(graph, decoder, piece));
  const keyRows = input(graph, 'key_rows', 'int32', ['U', K, TILE]);
  const attended = input(graph, 'attended', 'int32', ['T', H]);
  const masks = new Map(
    windowsOf(decoder).map((window) => [window, input(graph, maskInput(window), 'float32', [TILE, 'keys'])]),
  );
  const places =
    alibi && alibiOf(alibi, [K, G], input(graph, 'key_positions', 'float32', [1, 1, 1, 1, 'keys']));
  const pairs = relative && input(graph, 'pairs', 'int32', [`${TILE}*keys`]);
  const known = new Map<Value, Value>(); // layers share a table
  const byDistance = (table: Value): Value => {
    if (!known.has(table)) known.set(table, transpose(pairBias(table, pairs!, H, [TILE, 'keys']), [1, 0, 2])); // [TILE, H, keys]
    return known.get(table)!;
  };
  const start = constant(graph, 'int32', [], [0]);
  const end = constant(graph, 'int32', [1], [2 ** 31 - 1]);
  const round = (
    { size, count, queries, offsets, sights }: Rounds,
    layer: number,
    [q, k, v]: readonly [Value, Value, Value],
    distances: Value | undefined,
  ): Value => {
    const { window } = decoder.layers[layer]!;
    const { links, ends, hidden, from, to } = sights.get(window)!;
    const W = queries.shape[1]!;
    const always = greaterEqual(count, 0);
    const [, out] = loop(count, always, [start], [start.type], ([at]) => {
      const next = add(at!, 1);
      const of = (perRound: Value) => gather(perRound, at!);
      const own = sliceAt(links, 1, of(ends), gather(ends, next), 'links');
      const seen = (x: Value) => reshape(gather(x, own), [W, K, 'C', D]);
      // Of what the rows of a last tile would have added: the columns of this round's keys, the rows of its queries.
      const last = (x: Value) => gather(sliceAt(x, x.rank - 1, of(hidden), end, 'C'), of(offsets)); // [W, size, .., C]
      const mixed = weighed(decoder, layer, [gather(q, of(queries)), seen(k), seen(v)], size, {
        places: places && sliceAt(places, 4, of(from!), of(to!), 'C'),
        distances: distances && transpose(reshape(last(distances), [W, size, K, G, 'C']), [0, 2, 3, 1, 4]),
        mask: reshape(last(masks.get(window)!), [W, 1, 1, size, 'C']),
      });
      return { more: always, carried: [next], collected: [mixed] };
    });
    return reshape(out!, [`${queries.shape[0]}*${W}*${H * size}`, D]);
  };
  const inHeads = (x: Value, heads: number): Value => reshape(x, [`T*${heads}`, D]);
  /** Keys or values, so that one link is a head's whole tile: [U·K, TILE·D]. */
  const linked = (x: Value): Value => reshape(gather(inHeads(x, K), keyRows), [`U*${K}`, TILE * D]);
  return {
    positions: pack.positions,
    rotate: rotation(decoder, rope),
    attendSource: source?.(padding(pack, H * D)) ?? noSource,
    attend(layer, q, k, v, table) {
      const given = [inHeads(q, H), linked(k), linked(v)] as const;
      const distances = table && byDistance(table);
      const parts = pieces.map((each) => round(each, layer, given, distances));
      return reshape(gather(concat(parts, 0, 'slots'), attended), ['T', H * D]);
    },
  };
}
