// Attention of encoder-decoders that is not causal: a source's rows see each other, a decoder's rows see their source.
// Differentiable ops alone. Sources are padded to a multiple of some rows, so that a sum over them is the same bits
// whatever else is in the batch: what lies behind a source's end adds exact zeros.

import type { Graph, Value } from '../../engine/graph.ts';
import { add } from '../../engine/ops/arithmetic.ts';
import { gather } from '../../engine/ops/gather.ts';
import { input } from '../../engine/ops/leaves.ts';
import { batchMatmul } from '../../engine/ops/matmul.ts';
import { softmax } from '../../engine/ops/normalise.ts';
import { reshape, transpose } from '../../engine/ops/shape.ts';
import type { Decoder, EncoderInput, ForwardInput } from '../family.ts';
import { type PackInputs, type Pad, padding } from './attention.ts';
import { pairBias } from './relative.ts';

/** The graph inputs that say how packed rows SR make up X sources of SU rows. */
export interface SourceInputs {
  readonly ids: Value; // int32 [SR]
  readonly pack: Omit<PackInputs, 'positions'>;
  readonly mask: Value; // [X, 1, 1, SU]: −1e30 behind a source's end
  readonly pairs: Value; // int32 [SU·SU]: classes of distances
}

/** @param count how the number of sources is called: `B` where each sequence has its own */
export const sourceInputs = (graph: Graph, count: string): SourceInputs => ({
  ids: input(graph, 'source_ids', 'int32', ['SR']),
  pack: {
    unpack: input(graph, 'source_unpack', 'int32', [count, 'SU']),
    pack: input(graph, 'source_pack', 'int32', ['SR']),
    live: input(graph, 'source_live', 'float32', [count, 'SU']),
    ones: input(graph, 'source_ones', 'float32', ['SR']),
  },
  mask: input(graph, 'source_mask', 'float32', [count, 1, 1, 'SU']),
  pairs: input(graph, 'source_pairs', 'int32', ['SU*SU']),
});

/** Padded rows [B, S, H·D] → [B, H, S, D]. */
const inHeads = (x: Value, H: number): Value => {
  const [B, S, width] = x.shape;
  return transpose(reshape(x, [B!, S!, H, (width as number) / H]), [0, 2, 1, 3]);
};

/** Queries [B, H, S, D], keys and values [B, H, C, D], `added` broadcasts to [B, H, S, C] → [B, S, H·D]. */
function attended(q: Value, k: Value, v: Value, added: readonly Value[], scale: number): Value {
  const [B, H, S, D] = q.shape;
  const scores = added.reduce(
    (sum, more) => add(sum, more),
    batchMatmul(q, k, { transB: true, alpha: scale }),
  );
  const mixed = batchMatmul(softmax(scores), v);
  return reshape(transpose(mixed, [0, 2, 1, 3]), [B!, S!, (H as number) * (D as number)]);
}

const sizes = ({ config, scores }: Decoder) => ({
  H: config.num_attention_heads,
  width: config.num_attention_heads * config.head_dim,
  scale: scores?.scale ?? 1 / Math.sqrt(config.head_dim),
});

export function encoderAttention(decoder: Decoder, { pack, mask, pairs }: SourceInputs): EncoderInput {
  const { H, width, scale } = sizes(decoder);
  const { pad, unpad } = padding(pack, width, pack.unpack.shape);
  const known = new Map<Value, Value>(); // all layers share one table
  return {
    attend(q, k, v, table) {
      const heads = (x: Value) => inHeads(pad(x), H);
      if (table && !known.has(table)) known.set(table, pairBias(table, pairs, H, ['SU', 'SU']));
      const added = [...(table ? [known.get(table)!] : []), mask];
      return unpad(attended(heads(q), heads(k), heads(v), added, scale));
    },
  };
}

/** Of each layer keys and values of every source [X, H, SU, D], made once. */
export type SourceCache = (readonly [keys: Value, values: Value])[];

/**
 * @param rows the decoder's rows: how they are padded to [B, S, H·D], and packed again
 * @param of int32 [B]: each sequence's source; absent: its own
 * @param cache filled layer by layer
 */
export function crossAttention(
  decoder: Decoder,
  { pack, mask }: SourceInputs,
  states: Value,
  rows: Pad,
  cache: SourceCache,
  of?: Value,
): ForwardInput['attendSource'] {
  const { H, width, scale } = sizes(decoder);
  const { pad } = padding(pack, width, pack.unpack.shape);
  const own = (x: Value): Value => (of ? gather(x, of) : x);
  return (layer, q, make) => {
    const [keys, values] = make(states);
    cache[layer] = [inHeads(pad(keys), H), inHeads(pad(values), H)];
    const [k, v] = cache[layer]!;
    return rows.unpad(attended(inHeads(rows.pad(q), H), own(k), own(v), [own(mask)], scale));
  };
}

/**
 * One new row a sequence, q [R, H·D], over what `crossAttention` has made.
 * @param of int32 [R]: each sequence's source
 */
export function crossStep(
  decoder: Decoder,
  { mask, cache }: { readonly mask: Value; readonly cache: SourceCache },
  of: Value,
): ForwardInput['attendSource'] {
  const { H, width, scale } = sizes(decoder);
  const own = cache.map(([keys, values]) => [gather(keys, of), gather(values, of)] as const);
  const masks = [gather(mask, of)];
  return (layer, q) => {
    const [k, v] = own[layer]!;
    const R = q.shape[0]!;
    return reshape(attended(inHeads(reshape(q, [R, 1, width]), H), k, v, masks, scale), [R, width]);
  };
}
