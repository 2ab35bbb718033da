// Causal attention of scoring: queries in tiles of some rows, each over the keys up to its own end and no others, round by
// round. No scores of a pair that is masked by a whole tile are made, none leave the cache, and a beginning that sequences
// share is attended to once.

import type { Graph, Value } from '../../engine/graph.ts';
import { add, greaterEqual } from '../../engine/ops/arithmetic.ts';
import { gather } from '../../engine/ops/gather.ts';
import { constant, input } from '../../engine/ops/leaves.ts';
import { loop } from '../../engine/ops/loop.ts';
import { reshape, sliceAt, transpose } from '../../engine/ops/shape.ts';
import type { Decoder, ForwardInput } from '../family.ts';
import { type SightName, sightInput, TILE } from '../tiles.ts';
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

/** What a round's tiles see of keys, in layers of one window (tiles.ts says what is fed). */
interface Sight {
  readonly links: Value; // int32 [W, X]
  readonly ends: Value; // int32 [ends]
  readonly hidden: Value; // int32 [R]
  readonly mask: Value; // float32 [1, 1, 1, TILE, keys]
  readonly from?: Value | undefined; // int32 [R]
  readonly to?: Value | undefined; // int32 [R]
}

function sightInputs(graph: Graph, { scores }: Decoder, window: number | undefined): Sight {
  const ints = (name: SightName, shape: string[]) => input(graph, sightInput(name, window), 'int32', shape);
  return {
    links: ints('links', ['W', sightInput('links', window)]),
    ends: ints('ends', ['ends']),
    hidden: ints('hidden', ['R']),
    mask: input(graph, maskInput(window), 'float32', [1, 1, 1, TILE, 'keys']),
    ...(scores?.alibi && { from: ints('from', ['R']), to: ints('to', ['R']) }),
  };
}

/** Attention of packed rows that are cut into B = R·W tiles, R rounds of W. */
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
  const { pad, unpad } = padding(pack, H * D, ['B', TILE]);
  const rounds = input(graph, 'rounds', 'int32', []);
  const sights = new Map(windowsOf(decoder).map((window) => [window, sightInputs(graph, decoder, window)]));
  const places =
    alibi && alibiOf(alibi, [K, G], input(graph, 'key_positions', 'float32', [1, 1, 1, 1, 'keys']));
  const pairs = relative && input(graph, 'pairs', 'int32', [`${TILE}*keys`]);
  const known = new Map<Value, Value>(); // layers share a table
  const byDistance = (table: Value): Value => {
    if (!known.has(table))
      known.set(table, reshape(pairBias(table, pairs!, H, [TILE, 'keys']), [1, K, G, TILE, 'keys']));
    return known.get(table)!;
  };
  const always = greaterEqual(rounds, 0);
  const start = constant(graph, 'int32', [], [0]);
  const end = constant(graph, 'int32', [], [2 ** 31 - 1]);
  /** Keys or values of every head of every tile, so that a link is one number: [B·K, TILE·D]. */
  const linked = (x: Value): Value =>
    reshape(transpose(reshape(pad(x), ['B', TILE, K, D]), [0, 2, 1, 3]), [`B*${K}`, TILE * D]);
  return {
    positions: pack.positions,
    rotate: rotation(decoder, rope),
    attendSource: source?.({ pad, unpad }) ?? noSource,
    attend(layer, q, k, v, table) {
      const { links, ends, hidden, mask, from, to } = sights.get(decoder.layers[layer]!.window)!;
      const grouped = transpose(reshape(pad(q), ['B', TILE, K, G, D]), [0, 2, 3, 1, 4]); // [B, K, G, TILE, D]
      const queries = reshape(grouped, ['R', 'W', K, G * TILE, D]);
      const [keys, values] = [linked(k), linked(v)];
      const distances = table && byDistance(table);
      const [, mixed] = loop(rounds, always, [start], [start.type], ([at]) => {
        const next = add(at!, 1);
        const of = (perRound: Value) => gather(perRound, at!);
        const own = sliceAt(links, 1, of(ends), gather(ends, next), 'links');
        const seen = (x: Value) => reshape(gather(x, own), ['W', K, 'C', D]);
        const last = (x: Value) => sliceAt(x, 4, of(hidden), end, 'C');
        const out = weighed(decoder, layer, [of(queries), seen(keys), seen(values)], TILE, {
          places: places && sliceAt(places, 4, of(from!), of(to!), 'C'),
          distances: distances && last(distances),
          mask: last(mask),
        });
        return { more: always, carried: [next], collected: [out] };
      });
      const rows = transpose(reshape(mixed!, ['B', K, G, TILE, D]), [0, 3, 1, 2, 4]); // [B, TILE, K, G, D]
      return unpad(reshape(rows, ['B', TILE, H * D]));
    },
  };
}
