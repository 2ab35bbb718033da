// The fused attention of scoring and generating: causal, grouped-query, each row of the batch over its own length.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { Emission, Value } from '../graph.ts';
import { defineOp } from '../op.ts';

/** What is added to each score, by head (Press et al. 2022): slope · the key's position. */
export interface Alibi {
  /** One a head. */
  readonly slopes: readonly number[];
  /** Slope, position and their product are rounded to it, and what comes out is multiplied with `scale`: Falcon's way. */
  readonly rounded?: { readonly to: 'bfloat16'; readonly scale: number };
}

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly present: Dim;
  /** What q·k is multiplied with; default 1/√D. */
  readonly scale?: number;
  readonly softcap?: number;
  /** How many tokens a query sees, itself the last of them; default: all. */
  readonly window?: number;
  readonly alibi?: Alibi;
  /** The last input is what is added by distance [M, H]: the key's own place, one back, …; all farther ones get the last row. */
  readonly relative?: boolean;
}

/** Rows of `distances` [M, H] for every query and key [B or 1, H, S, total], as the fused node wants them added. */
function emitRelative(
  emitter: Emission,
  {
    q,
    last,
    total,
    distances,
    past,
  }: Readonly<Record<'q' | 'last' | 'total' | 'distances', string>> & { past: boolean },
  most: number,
): string {
  const next = (type: string, inputs: string[], attrs: Parameters<Emission['node']>[3] = {}): string => {
    const out = emitter.fresh('relative');
    emitter.node(type, inputs, [out], attrs);
    return out;
  };
  const scalar = (value: number) => emitter.constant('int32', [], [value]);
  const axes = (...values: number[]) => emitter.constant('int64', [values.length], values);
  const keys = next('Range', [scalar(0), total, scalar(1)]); // [total]
  const rows = next('Cast', [next('Squeeze', [next('Shape', [q], { start: 1, end: 2 }), axes(0)])], {
    to: INT32,
  });
  const within = next('Range', [scalar(0), rows, scalar(1)]); // [S]
  // Without a past a row stands where it lies; with one, the last row stands at `last`.
  const start = past
    ? next('Sub', [last, next('Sub', [rows, scalar(1)])])
    : emitter.constant('int32', [1], [0]);
  const places = next('Add', [next('Unsqueeze', [start, axes(1)]), within]); // [B or 1, S]
  const back = next('Sub', [next('Unsqueeze', [places, axes(2)]), keys]); // [B or 1, S, total]
  const taken = next('Min', [next('Max', [back, scalar(0)]), scalar(most - 1)]);
  return next('Transpose', [next('Gather', [distances, taken], { axis: 0 })], { perm: [0, 3, 1, 2] });
}

/** slope · position of every key [1, H, S, total], as the fused node wants it added: a row for each query. */
function emitAlibi(emitter: Emission, { slopes, rounded }: Alibi, q: string, total: string): string {
  const next = (type: string, inputs: string[], attrs: Parameters<Emission['node']>[3] = {}): string => {
    const out = emitter.fresh('alibi');
    emitter.node(type, inputs, [out], attrs);
    return out;
  };
  const round = (x: string): string =>
    rounded ? next('Cast', [next('Cast', [x], { to: BFLOAT16 })], { to: FLOAT }) : x;
  const scalar = (value: number) => emitter.constant('int32', [], [value]);
  const one = (...values: number[]) => emitter.constant('int64', [values.length], values);
  const places = round(next('Cast', [next('Range', [scalar(0), total, scalar(1)])], { to: FLOAT }));
  const steep = round(emitter.constant('float32', [1, slopes.length, 1, 1], [...slopes]));
  const products = round(next('Mul', [steep, places])); // [1, H, 1, total]
  const scaled = rounded
    ? next('Mul', [products, emitter.constant('float32', [], [rounded.scale])])
    : products;
  const rows = next('Shape', [q], { start: 1, end: 2 });
  return next('Expand', [scaled, next('Concat', [one(1, 1), rows, one(1)], { axis: 0 })]);
}

/** ONNX's numbers of element types. */
const [FLOAT, INT32, BFLOAT16] = [1, 6, 16];

/** The fused node takes heads of multiples of this size only (OpenLLaMA-3B's have 100). */
const MULTIPLE = 8;

/** Widens heads to a size that the node takes, and narrows what comes out of it. */
class WideHeads {
  readonly #wide: number;
  constructor(
    readonly emitter: Emission,
    readonly size: number,
  ) {
    this.#wide = Math.ceil(size / MULTIPLE) * MULTIPLE;
  }

  /** [B, S, H·D] → [B, S, H·wide] */
  rows(x: string, heads: number): string {
    const padded = this.pad(this.#reshaped(x, [0, 0, heads, this.size]));
    return this.#reshaped(padded, [0, 0, heads * this.#wide]);
  }

  /** [.., .., .., D] → [.., .., .., wide] */
  pad(x: string, pads = this.#pads()): string {
    const out = this.emitter.fresh('padded');
    this.emitter.node('Pad', [x, pads], [out], {});
    return out;
  }

  /**
   * A past cache, padded by as much as is only known at run time (always the same): if its shape were known, the engine
   * would give its buffer to the present cache, which is declared of the same shape and is longer.
   */
  cache(x: string, last: string): string {
    const [same, one, pads] = ['same', 'one', 'pads'].map((name) => this.emitter.fresh(name));
    const first = this.emitter.fresh('first');
    this.emitter.node('ReduceMax', [last], [first], { keepdims: 1 });
    this.emitter.node('Equal', [first, first], [same!], {});
    this.emitter.node('Cast', [same!], [one!], { to: 7 });
    this.emitter.node('Mul', [this.#pads(), one!], [pads!], {});
    return this.pad(x, pads!);
  }

  #pads(): string {
    return this.emitter.constant('int64', [8], [0, 0, 0, 0, 0, 0, 0, this.#wide - this.size]);
  }

  narrowRows(x: string, out: string, heads: number): void {
    const narrow = this.emitter.fresh('narrow');
    this.narrow(this.#reshaped(x, [0, 0, heads, this.#wide]), narrow);
    this.#reshaped(narrow, [0, 0, heads * this.size], out);
  }

  narrow(x: string, out: string): void {
    const one = (value: number) => this.emitter.constant('int64', [1], [value]);
    this.emitter.node('Slice', [x, one(0), one(this.size), one(3)], [out], {});
  }

  #reshaped(x: string, shape: number[], out = this.emitter.fresh('heads')): string {
    this.emitter.node('Reshape', [x, this.emitter.constant('int64', [shape.length], shape)], [out], {});
    return out;
  }
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
    const { heads, kvHeads, scale, softcap, window, alibi, relative } = node.attrs;
    const given = relative ? node.inputs.slice(0, -1) : node.inputs;
    const [q, k, v, last, total, pastK, pastV] = given.map((value) => emitter.name(value));
    const table = node.inputs.at(-1)!;
    const outputs = node.outputs.map((value) => emitter.name(value));
    const attributes = {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: 0,
      ...(scale !== undefined && { scale: { float: scale } }),
      ...(softcap !== undefined && { softcap: { float: softcap } }),
      ...(window !== undefined && { local_window_size: window }),
    };
    const attention = (inputs: string[], results: string[], more: Record<string, { float: number }> = {}) =>
      emitter.node('GroupQueryAttention', inputs, results, { ...attributes, ...more }, 'com.microsoft');
    const places = {
      q: q!,
      last: last!,
      total: total!,
      distances: emitter.name(table),
      past: pastK !== undefined,
    };
    const added = relative
      ? emitRelative(emitter, places, table.shape[0] as number)
      : alibi && emitAlibi(emitter, alibi, q!, total!);
    const bias = added ? ['', '', '', added] : [];
    const size = (node.inputs[0]!.shape[2] as number) / heads;
    if (size % MULTIPLE === 0) {
      attention([q!, k!, v!, pastK ?? '', pastV ?? '', last!, total!, ...bias], outputs);
      return;
    }
    // Zeros at the end of each head change no product of queries and keys; the scale stays that of the true size.
    const wide = new WideHeads(emitter, size);
    const results = outputs.map(() => emitter.fresh('wide'));
    attention(
      [
        wide.rows(q!, heads),
        wide.rows(k!, kvHeads),
        wide.rows(v!, kvHeads),
        pastK ? wide.cache(pastK, last!) : '',
        pastV ? wide.cache(pastV, last!) : '',
        last!,
        total!,
        ...bias,
      ],
      results,
      { scale: { float: scale ?? 1 / Math.sqrt(size) } },
    );
    wide.narrowRows(results[0]!, outputs[0]!, heads);
    for (const i of [1, 2]) wide.narrow(results[i]!, outputs[i]!);
  },
  gradient: 'none',
  examples: [
    {
      // Prompts of 3 and 2 tokens, right-padded.
      inputs: [
        { shape: [2, 3, 32] },
        { shape: [2, 3, 16] },
        { shape: [2, 3, 16] },
        { shape: [2], dtype: 'int32', values: [2, 1] },
        { shape: [], dtype: 'int32', values: [3] },
      ],
      attrs: { heads: 4, kvHeads: 2, present: 3 },
    },
    {
      // Heads of 6, a head of keys for each.
      inputs: [
        { shape: [1, 4, 18] },
        { shape: [1, 4, 18] },
        { shape: [1, 4, 18] },
        { shape: [1], dtype: 'int32', values: [3] },
        { shape: [], dtype: 'int32', values: [4] },
      ],
      attrs: { heads: 3, kvHeads: 3, present: 4 },
    },
    {
      // A window, another scale, capped scores.
      inputs: [
        { shape: [1, 6, 16] },
        { shape: [1, 6, 8] },
        { shape: [1, 6, 8] },
        { shape: [1], dtype: 'int32', values: [5] },
        { shape: [], dtype: 'int32', values: [6] },
      ],
      attrs: { heads: 2, kvHeads: 1, present: 6, window: 3, scale: 1.5, softcap: 0.75 },
    },
    ...[undefined, { to: 'bfloat16' as const, scale: 0.25 }].map((rounded) => ({
      // Slopes: prompts of 3 and 2 tokens, right-padded.
      inputs: [
        { shape: [2, 3, 32] },
        { shape: [2, 3, 16] },
        { shape: [2, 3, 16] },
        { shape: [2], dtype: 'int32' as const, values: [2, 1] },
        { shape: [], dtype: 'int32' as const, values: [3] },
      ],
      attrs: {
        heads: 4,
        kvHeads: 2,
        present: 3,
        alibi: { slopes: [0.7, 0.3, 0.123, 0.05], ...(rounded && { rounded }) },
      },
    })),
    {
      // By distance: prompts of 4 and 2 tokens, right-padded; three and more back are the same.
      inputs: [
        { shape: [2, 4, 32] },
        { shape: [2, 4, 32] },
        { shape: [2, 4, 32] },
        { shape: [2], dtype: 'int32', values: [3, 1] },
        { shape: [], dtype: 'int32', values: [4] },
        { shape: [3, 4] },
      ],
      attrs: { heads: 4, kvHeads: 4, present: 4, scale: 1, relative: true },
    },
    {
      // By distance: one more token each, after 4 and 2 of them, of heads of 6.
      inputs: [
        { shape: [2, 1, 18] },
        { shape: [2, 1, 18] },
        { shape: [2, 1, 18] },
        { shape: [2], dtype: 'int32', values: [4, 2] },
        { shape: [], dtype: 'int32', values: [5] },
        { shape: [2, 3, 4, 6] },
        { shape: [2, 3, 4, 6] },
        { shape: [4, 3] },
      ],
      attrs: { heads: 3, kvHeads: 3, present: 5, scale: 1, relative: true },
    },
    {
      // Slopes: one more token each, after 4 and 2 of them, of heads of 6.
      inputs: [
        { shape: [2, 1, 18] },
        { shape: [2, 1, 18] },
        { shape: [2, 1, 18] },
        { shape: [2], dtype: 'int32', values: [4, 2] },
        { shape: [], dtype: 'int32', values: [5] },
        { shape: [2, 3, 4, 6] },
        { shape: [2, 3, 4, 6] },
      ],
      attrs: { heads: 3, kvHeads: 3, present: 5, alibi: { slopes: [0.7, 0.3, 0.1] } },
    },
    ...[8, 6].map((size) => ({
      // One more token each, after 4 and 2 of them; heads of 6 also with a window.
      inputs: [
        { shape: [2, 1, 4 * size] },
        { shape: [2, 1, size] },
        { shape: [2, 1, size] },
        { shape: [2], dtype: 'int32' as const, values: [4, 2] },
        { shape: [], dtype: 'int32' as const, values: [5] },
        { shape: [2, 1, 4, size] },
        { shape: [2, 1, 4, size] },
      ],
      attrs: { heads: 4, kvHeads: 1, present: 5, ...(size === 6 && { window: 2, scale: 0.5 }) },
    })),
  ],
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
 * @param distances float32 [M, H], added to the score of a key so many places back (M - 1 or more: the last row)
 */
export function cachedAttention(
  {
    q,
    k,
    v,
    last,
    total,
    past,
    distances,
  }: {
    q: Value;
    k: Value;
    v: Value;
    last: Value;
    total: Value;
    past?: readonly [Value, Value];
    distances?: Value | undefined;
  },
  heads: Omit<Heads, 'relative'>,
): { out: Value; keys: Value; values: Value } {
  const given = [q, k, v, last, total, ...(past ?? [])];
  const [out, keys, values] = distances
    ? op([...given, distances], { ...heads, relative: true })
    : op(given, heads);
  return { out: out!, keys: keys!, values: values! };
}

export const CACHED_ATTENTION = { cached_attention: op.op };
