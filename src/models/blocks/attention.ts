// Attention in two kinds behind one call: differentiable (training, optional constant prefix) and fused with a cache.

import type { Graph, Value } from '../../engine/graph.ts';
import { add } from '../../engine/ops/arithmetic.ts';
import { cachedAttention } from '../../engine/ops/cached-attention.ts';
import { pickRows } from '../../engine/ops/gather.ts';
import { input } from '../../engine/ops/leaves.ts';
import { batchMatmul } from '../../engine/ops/matmul.ts';
import { rotary, softmax } from '../../engine/ops/normalise.ts';
import { concat, reshape, transpose } from '../../engine/ops/shape.ts';
import type { DecoderConfig, ForwardInput } from '../family.ts';

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

export interface RopeInputs {
  readonly cos: Value;
  readonly sin: Value;
}

export const ropeInputs = (graph: Graph, { head_dim }: DecoderConfig): RopeInputs => ({
  cos: input(graph, 'cos', 'float32', ['M', head_dim / 2]),
  sin: input(graph, 'sin', 'float32', ['M', head_dim / 2]),
});

/** Packed rows [T, W] → padded [B, S, W] and back; what lies in the padding is never read. */
function padding({ unpack, pack, live, ones }: PackInputs, width: number) {
  const flatUnpack = reshape(unpack, ['B*S']);
  const flatLive = reshape(live, ['B*S']);
  return {
    pad: (x: Value) => pickRows(x, unpack, pack, live, ones),
    unpad: (x: Value) => pickRows(reshape(x, ['B*S', width]), pack, flatUnpack, ones, flatLive),
  };
}

/** Keys and values of a constant prefix, per layer: [B, K, P, D] each. */
export type Prefix = (layer: number) => readonly [keys: Value, values: Value];

/**
 * Softmax attention out of differentiable ops. Grouped queries are viewed as [B, K, G·S, D], so keys are never repeated.
 * @param mask additive [B, 1, 1, S, C], C = P + S with a prefix
 */
export function differentiableAttention(
  config: DecoderConfig,
  pack: PackInputs,
  rope: RopeInputs,
  mask: Value,
  prefix?: Prefix,
): ForwardInput {
  const { num_attention_heads: H, num_key_value_heads: K, head_dim: D } = config;
  const G = H / K;
  const { pad, unpad } = padding(pack, H * D);
  const heads = (x: Value) => transpose(reshape(pad(x), ['B', 'S', K, D]), [0, 2, 1, 3]); // [B, K, S, D]
  return {
    rotate: (x) => rotary(x, pack.positions, rope.cos, rope.sin),
    attend(layer, q, k, v) {
      const grouped = transpose(reshape(pad(q), ['B', 'S', K, G, D]), [0, 2, 3, 1, 4]); // [B, K, G, S, D]
      const queries = reshape(grouped, ['B', K, `${G}*S`, D]);
      let [keys, values] = [heads(k), heads(v)];
      if (prefix) {
        const [pastKeys, pastValues] = prefix(layer);
        [keys, values] = [concat([pastKeys, keys], 2, 'C'), concat([pastValues, values], 2, 'C')];
      }
      const C = prefix ? 'C' : 'S';
      const scores = batchMatmul(queries, keys, { transB: true, alpha: 1 / Math.sqrt(D) }); // [B, K, G·S, C]
      const weights = softmax(add(reshape(scores, ['B', K, G, 'S', C]), mask));
      const mixed = batchMatmul(reshape(weights, ['B', K, `${G}*S`, C]), values); // [B, K, G·S, D]
      const rows = transpose(reshape(mixed, ['B', K, G, 'S', D]), [0, 3, 1, 2, 4]); // [B, S, K, G, D]
      return unpad(reshape(rows, ['B', 'S', H * D]));
    },
  };
}

/** What fused attention leaves behind for the next call, layer by layer. */
export type Cache = (readonly [keys: Value, values: Value])[];

/** Fused causal attention over prompts, right-padded: each row's result is that of its prompt alone, bit for bit. */
export function promptAttention(
  config: DecoderConfig,
  pack: PackInputs,
  rope: RopeInputs,
  last: Value,
  total: Value,
  cache: Cache,
): ForwardInput {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: D } = config;
  const { pad, unpad } = padding(pack, heads * D);
  return {
    rotate: (x) => rotary(x, pack.positions, rope.cos, rope.sin),
    attend(layer, q, k, v) {
      const { out, keys, values } = cachedAttention(
        { q: pad(q), k: pad(k), v: pad(v), last, total },
        { heads, kvHeads, present: 'S' },
      );
      cache[layer] = [keys, values];
      return unpad(out);
    },
  };
}

/** Fused attention of one new row a sequence, [B, ..], over its cache; `positions` says how B is called. */
export function stepAttention(
  config: DecoderConfig,
  positions: Value,
  rope: RopeInputs,
  last: Value,
  total: Value,
  past: Cache,
  present: Cache,
): ForwardInput {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: D } = config;
  const B = positions.shape[0]!;
  return {
    rotate: (x) => rotary(x, positions, rope.cos, rope.sin),
    attend(layer, q, k, v) {
      const rows = (x: Value, n: number) => reshape(x, [B, 1, n * D]);
      const { out, keys, values } = cachedAttention(
        { q: rows(q, heads), k: rows(k, kvHeads), v: rows(v, kvHeads), last, total, past: past[layer]! },
        { heads, kvHeads, present: 'P' },
      );
      present[layer] = [keys, values];
      return reshape(out, [B, heads * D]);
    },
  };
}
