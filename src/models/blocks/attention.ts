// Attention in two kinds behind one call: differentiable (training, optional constant prefix) and fused with a cache.

import { assert } from '../../base/error.ts';
import type { Graph, Value } from '../../engine/graph.ts';
import { add, cast, mul } from '../../engine/ops/arithmetic.ts';
import { type Alibi, cachedAttention } from '../../engine/ops/cached-attention.ts';
import { pickRows } from '../../engine/ops/gather.ts';
import { constant, input } from '../../engine/ops/leaves.ts';
import { batchMatmul } from '../../engine/ops/matmul.ts';
import { rotary, softmax } from '../../engine/ops/normalise.ts';
import { concat, reshape, transpose } from '../../engine/ops/shape.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { Decoder, ForwardInput } from '../family.ts';
import { softCapped } from './activations.ts';
import { backBias, pairBias } from './relative.ts';
import { ropeInput } from './rope.ts';

/** The graph inputs that say how packed rows T make up B sequences of at most S (see pack.ts). */
export interface PackInputs {
  readonly positions: Value;
  readonly unpack: Value;
  readonly pack: Value;
  readonly live: Value;
  readonly ones: Value;
}

export const packInputs = (graph: Graph): PackInputs => ({
  positions: input(graph, 'positions', 'int32', ['T']),
  unpack: input(graph, 'unpack', 'int32', ['B', 'S']),
  pack: input(graph, 'pack', 'int32', ['T']),
  live: input(graph, 'live', 'float32', ['B', 'S']),
  ones: input(graph, 'ones', 'float32', ['T']),
});

/** One rope's tables [M, dim/2] and each packed row's place in them, int32 [T]. */
export interface RopeInputs {
  readonly positions: Value;
  readonly cos: Value;
  readonly sin: Value;
}

export const ropeInputs = (graph: Graph, { ropes }: Decoder, { positions }: PackInputs): RopeInputs[] =>
  ropes.map(({ dim }, i) => ({
    positions: i === 0 ? positions : input(graph, ropeInput('positions', i), 'int32', ['T']),
    cos: input(graph, ropeInput('cos', i), 'float32', [i === 0 ? 'M' : `M${i}`, dim / 2]),
    sin: input(graph, ropeInput('sin', i), 'float32', [i === 0 ? 'M' : `M${i}`, dim / 2]),
  }));

/** @param at where every row stands, instead of each rope's own positions */
export const rotation =
  ({ config, layers, ropes }: Decoder, inputs: readonly RopeInputs[], at?: Value): ForwardInput['rotate'] =>
  (layer, x) => {
    const rope = layers[layer]!.rope;
    if (rope === undefined) return x;
    const { positions, cos, sin } = inputs[rope]!;
    const { dim, interleaved } = ropes[rope]!;
    return rotary(x, at ?? positions, cos, sin, { head_dim: config.head_dim, dim, interleaved });
  };

/** The windows that a decoder's layers have, each once; undefined: none. */
export const windowsOf = ({ layers }: Decoder): (number | undefined)[] => [
  ...new Set(layers.map(({ window }) => window)),
];

/** What the mask of a window is called among a graph's inputs. */
export const maskInput = (window: number | undefined): string =>
  window === undefined ? 'mask' : `mask_${window}`;

/** Packed rows to padded ones and back. */
export interface Pad {
  readonly pad: (x: Value) => Value;
  readonly unpad: (x: Value) => Value;
}

/** Of a decoder that has no source. */
export const noSource: ForwardInput['attendSource'] = () => {
  assert(false, 'a decoder without an encoder has no source');
};

/** Packed rows [T, W] → padded [B, S, W] and back; what lies in the padding is never read. */
export function padding(
  { unpack, pack, live, ones }: Omit<PackInputs, 'positions'>,
  width: number,
  [B, S]: readonly Dim[] = ['B', 'S'],
) {
  const flat = `${B}*${S}`;
  const flatUnpack = reshape(unpack, [flat]);
  const flatLive = reshape(live, [flat]);
  return {
    pad: (x: Value) => pickRows(x, unpack, pack, live, ones),
    unpad: (x: Value) => pickRows(reshape(x, [flat, width]), pack, flatUnpack, ones, flatLive),
  };
}

/** What key positions [B, 1, 1, 1, C] add to scores, [B, K, G, 1, C]; cachedAttention says the same to the fused node. */
export function alibiOf(
  { slopes, rounded }: Alibi,
  heads: readonly [number, number],
  positions: Value,
): Value {
  const round = (x: Value): Value => (rounded ? cast(cast(x, rounded.to), 'float32') : x);
  const steep = constant(positions.scope, 'float32', [1, ...heads, 1, 1], [...slopes]);
  const products = round(mul(round(steep), round(positions)));
  return rounded ? mul(products, rounded.scale) : products;
}

/** Keys and values of a constant prefix, per layer: [B, K, P, D] each. */
export type Prefix = (layer: number) => readonly [keys: Value, values: Value];

/** What is added to scores [B, K, G, S, C], each broadcast to them. */
interface Added {
  /** By the key's position. */
  readonly places?: Value | undefined;
  /** By the distance between query and key. */
  readonly distances?: Value | undefined;
  /** −1e30 where a query does not see a key. */
  readonly mask: Value;
}

/** Grouped queries [B, K, G·S, D] over keys and values [B, K, C, D] as a layer weighs them → [B, K, G·S, D]. */
export function weighed(
  { config, layers, scores: { scale: ofAll = 1 / Math.sqrt(config.head_dim), softcap } = {} }: Decoder,
  layer: number,
  [queries, keys, values]: readonly [Value, Value, Value],
  S: Dim,
  { places, distances, mask }: Added,
): Value {
  const [B, K, rows] = queries.shape;
  const C = keys.shape[2]!;
  const split = [B!, K!, config.num_attention_heads / (K as number), S, C];
  const scores = batchMatmul(queries, keys, { transB: true, alpha: layers[layer]!.scale ?? ofAll });
  const capped = softcap === undefined ? scores : softCapped(softcap)(scores);
  const biased = places ? add(reshape(capped, split), places) : reshape(capped, split);
  const whole = distances ? add(biased, distances) : biased;
  const weights = softmax(add(whole, mask));
  return batchMatmul(reshape(weights, [B!, K!, rows!, C]), values);
}

/**
 * Softmax attention out of differentiable ops. Grouped queries are viewed as [B, K, G·S, D], so keys are never repeated.
 * @param mask the additive mask of a window [B, 1, 1, S, C], C = P + S with a prefix
 * @param keyPositions float32 [B, 1, 1, 1, C], where scores depend on them
 * @param pairs int32 [S·S], the classes of distances, where a table is added by them
 * @param source what attends to sources
 */
export function differentiableAttention(
  decoder: Decoder,
  pack: PackInputs,
  rope: readonly RopeInputs[],
  mask: (window: number | undefined) => Value,
  prefix?: Prefix,
  keyPositions?: Value,
  pairs?: Value,
  source?: (rows: Pad) => ForwardInput['attendSource'],
): ForwardInput {
  const { num_attention_heads: H, num_key_value_heads: K, head_dim: D } = decoder.config;
  const G = H / K;
  const { alibi } = decoder.scores ?? {};
  const places = alibi && keyPositions && alibiOf(alibi, [K, G], keyPositions);
  const { pad, unpad } = padding(pack, H * D);
  const known = new Map<Value, Value>(); // layers share a table
  const byDistance = (table: Value): Value => {
    assert(pairs && !prefix, 'distances are known, and none of them to a prefix');
    if (!known.has(table))
      known.set(table, reshape(pairBias(table, pairs, H, ['S', 'S']), [1, K, G, 'S', 'S']));
    return known.get(table)!;
  };
  const heads = (x: Value) => transpose(reshape(pad(x), ['B', 'S', K, D]), [0, 2, 1, 3]); // [B, K, S, D]
  return {
    positions: pack.positions,
    rotate: rotation(decoder, rope),
    attendSource: source?.({ pad, unpad }) ?? noSource,
    attend(layer, q, k, v, table) {
      const grouped = transpose(reshape(pad(q), ['B', 'S', K, G, D]), [0, 2, 3, 1, 4]); // [B, K, G, S, D]
      const queries = reshape(grouped, ['B', K, `${G}*S`, D]);
      let [keys, values] = [heads(k), heads(v)];
      if (prefix) {
        const [pastKeys, pastValues] = prefix(layer);
        [keys, values] = [concat([pastKeys, keys], 2, 'C'), concat([pastValues, values], 2, 'C')];
      }
      const mixed = weighed(decoder, layer, [queries, keys, values], 'S', {
        places,
        distances: table && byDistance(table),
        mask: mask(decoder.layers[layer]!.window),
      });
      const rows = transpose(reshape(mixed, ['B', K, G, 'S', D]), [0, 3, 1, 2, 4]); // [B, S, K, G, D]
      return unpad(reshape(rows, ['B', 'S', H * D]));
    },
  };
}

/** A table as the fused node is given it, each once. */
function distancesOf({ scores }: Decoder): (table: Value | undefined) => Value | undefined {
  const known = new Map<Value, Value>();
  return (table) => {
    if (!table) return undefined;
    assert(scores?.relative, 'a table of distances has classes');
    if (!known.has(table)) known.set(table, backBias(scores.relative, table));
    return known.get(table);
  };
}

/** What fused attention leaves behind for the next call, layer by layer. */
export type Cache = (readonly [keys: Value, values: Value])[];

/** What the fused node is told of a layer. */
const fused = ({ config, layers, scores: { relative: _, ...scores } = {} }: Decoder, layer: number) => ({
  heads: config.num_attention_heads,
  kvHeads: config.num_key_value_heads,
  ...scores,
  ...(layers[layer]!.scale !== undefined && { scale: layers[layer]!.scale }),
  ...(layers[layer]!.window !== undefined && { window: layers[layer]!.window }),
});

/** Fused causal attention over prompts, right-padded: each row's result is that of its prompt alone, bit for bit. */
export function promptAttention(
  decoder: Decoder,
  pack: PackInputs,
  rope: readonly RopeInputs[],
  last: Value,
  total: Value,
  cache: Cache,
  source?: (rows: Pad) => ForwardInput['attendSource'],
): ForwardInput {
  const { num_attention_heads: heads, head_dim: D } = decoder.config;
  const { pad, unpad } = padding(pack, heads * D);
  const distances = distancesOf(decoder);
  return {
    positions: pack.positions,
    rotate: rotation(decoder, rope),
    attendSource: source?.({ pad, unpad }) ?? noSource,
    attend(layer, q, k, v, table) {
      const { out, keys, values } = cachedAttention(
        { q: pad(q), k: pad(k), v: pad(v), last, total, distances: distances(table) },
        { ...fused(decoder, layer), present: 'S' },
      );
      cache[layer] = [keys, values];
      return unpad(out);
    },
  };
}

/** Fused attention of one new row a sequence, [B, ..], over its cache; `positions` says how B is called. */
export function stepAttention(
  decoder: Decoder,
  positions: Value,
  rope: readonly RopeInputs[],
  last: Value,
  total: Value,
  past: Cache,
  present: Cache,
  attendSource: ForwardInput['attendSource'] = noSource,
): ForwardInput {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: D } = decoder.config;
  const B = positions.shape[0]!;
  const distances = distancesOf(decoder);
  return {
    positions,
    rotate: rotation(decoder, rope, positions),
    attendSource,
    attend(layer, q, k, v, table) {
      const rows = (x: Value, n: number) => reshape(x, [B, 1, n * D]);
      const { out, keys, values } = cachedAttention(
        {
          q: rows(q, heads),
          k: rows(k, kvHeads),
          v: rows(v, kvHeads),
          last,
          total,
          past: past[layer]!,
          distances: distances(table),
        },
        { ...fused(decoder, layer), present: 'present' },
      );
      present[layer] = [keys, values];
      return reshape(out, [B, heads * D]);
    },
  };
}
