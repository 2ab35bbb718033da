// The fused attention of scoring and generating: causal, grouped-query, each row of the batch over its own length.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { Value } from '../graph.ts';
import { defineOp } from '../op.ts';

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly present: Dim;
}

const op = defineOp<Heads>({
  name: 'cached_attention',
  infer: ([q, k], { heads, kvHeads, present }) => {
    const [batch, , width] = q!.shape;
    assert(
      typeof width === 'number' && width % heads === 0 && heads % kvHeads === 0,
      'attention: heads divide the width',
    );
    const cache = { dtype: q!.dtype, shape: [batch!, kvHeads, present, width / heads] };
    assert(k!.shape[2] === kvHeads * (width / heads), 'attention: keys have their heads');
    return [q!, cache, cache];
  },
  emit: (emitter, node) => {
    const { heads, kvHeads } = node.attrs;
    const [q, k, v, last, total, pastK, pastV] = node.inputs.map((value) => emitter.name(value));
    emitter.node(
      'GroupQueryAttention',
      [q!, k!, v!, pastK ?? '', pastV ?? '', last!, total!],
      node.outputs.map((value) => emitter.name(value)),
      { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 0 },
      'com.microsoft',
    );
  },
  gradient: 'none',
  examples: [],
  // Scores and mixing, the causal half of them: [B, H, S, past + S] over D.
  flops: ([q, , , , , past]) => {
    const [B, S, width] = q as [number, number, number];
    return 4 * B * S * width * ((past?.[2] ?? 0) + (S + 1) / 2);
  },
});

/**
 * @param q [B, S, H·D], k and v [B, S, K·D], already rotated
 * @param last int32 [B]: each row's length including this call, less one
 * @param total int32 scalar: the longest of them
 * @param past keys and values [B, K, P, D] of earlier calls, or none for a prompt (right-padded)
 * @param present the name of the cache's new length
 */
export function cachedAttention(
  {
    q,
    k,
    v,
    last,
    total,
    past,
  }: { q: Value; k: Value; v: Value; last: Value; total: Value; past?: readonly [Value, Value] },
  heads: Heads,
): { out: Value; keys: Value; values: Value } {
  const [out, keys, values] = op([q, k, v, last, total, ...(past ?? [])], heads);
  return { out: out!, keys: keys!, values: values! };
}
