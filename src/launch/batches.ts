// Batches of every step as flat arrays: tokens of all examples end to end, labels of all examples end to end, and where
// each example and each step begins. What torch reads is what Whorl would have trained on.

import { assert, WhorlError } from '../base/error.ts';
import type { Example } from '../models/example.ts';
import { arrayEntry, safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';

const MOST = 2 ** 31 - 1;

class Growing<A extends Int32Array | Float32Array> {
  #length = 0;
  #data: A;
  constructor(readonly make: (length: number) => A) {
    this.#data = make(1024);
  }
  get length(): number {
    return this.#length;
  }
  push(value: number): void {
    if (this.#length === this.#data.length) {
      const larger = this.make(2 * this.#length);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data[this.#length++] = value;
  }
  get values(): A {
    return this.#data.subarray(0, this.#length) as A;
  }
}

const ints = () => new Growing((length) => new Int32Array(length));

export interface JobBatches {
  readonly bytes: Uint8Array;
  /** Tokens of the first so many steps, those before an example's own among them. */
  tokensOf(steps: number): number;
}

/** What an example may hold beside wanted labels, as numbers. */
const VARIANT = { rows: 1, adapter: 2 } as const;
const KIND = { fire: 0, hush: 1 } as const;
const NO_ALTERNATIVE = -1;

/**
 * `tokens` [T], `examples` [N + 1] (where each begins in `tokens`), `labels` [N + 1] (in the labels' arrays), `steps`
 * [S + 1] (in `examples`), `label_rows`, `label_tokens_wanted`, `label_weights` [L]. With an overlay also `befores` [N]
 * (tokens that begin an example and see none of it), `variants` [N] (1: rows, 2: adapter), `label_kinds` and
 * `label_alternatives` [L] (−1: none); `label_rows` count from the example's beginning.
 * @throws WhorlError `unsupported` for labels that torch's program has no loss for
 */
export async function jobBatches(
  steps: number,
  batch: (step: number) => Promise<readonly Example[]>,
  hasOverlay = false,
): Promise<JobBatches> {
  const [tokens, rows, wanted] = [ints(), ints(), ints()];
  const weights = new Growing((length) => new Float32Array(length));
  const [examples, labels, starts] = [ints(), ints(), ints()];
  const [befores, variants, kinds, alternatives] = [ints(), ints(), ints(), ints()];
  for (let step = 0; step < steps; step++) {
    starts.push(examples.length);
    for (const example of await batch(step)) {
      checkExample(example, hasOverlay);
      const { prefix, variant } = example;
      const before = prefix?.tokens ?? [];
      examples.push(tokens.length);
      labels.push(rows.length);
      befores.push(before.length);
      variants.push((variant.rows ? VARIANT.rows : 0) + (variant.adapter ? VARIANT.adapter : 0));
      for (const token of before) tokens.push(token);
      for (const token of example.tokens) tokens.push(token);
      for (const { row, token, weight, kind, alternative } of example.labels) {
        rows.push(before.length + row);
        wanted.push(token);
        weights.push(weight);
        kinds.push(KIND[kind]);
        alternatives.push(alternative ?? NO_ALTERNATIVE);
      }
    }
  }
  starts.push(examples.length);
  examples.push(tokens.length);
  labels.push(rows.length);
  assert(tokens.length <= MOST && rows.length <= MOST, 'more tokens than a job counts');
  const entry = (name: string, { values }: Growing<Int32Array> | Growing<Float32Array>) =>
    arrayEntry(name, values);
  const bytes = safetensorsBytes([
    entry('tokens', tokens),
    entry('examples', examples),
    entry('labels', labels),
    entry('steps', starts),
    entry('label_rows', rows),
    entry('label_tokens_wanted', wanted),
    entry('label_weights', weights),
    ...(hasOverlay
      ? [
          entry('befores', befores),
          entry('variants', variants),
          entry('label_kinds', kinds),
          entry('label_alternatives', alternatives),
        ]
      : []),
  ]);
  return { bytes, tokensOf: (done) => examples.values[starts.values[done]!]! };
}

function checkExample({ labels, source, prefix }: Example, hasOverlay: boolean): void {
  const odd = source
    ? 'an encoder-decoder'
    : hasOverlay
      ? undefined
      : prefix
        ? 'prefixes that are computed once'
        : labels.some(({ kind, alternative }) => kind !== 'fire' || alternative !== undefined)
          ? 'labels that must not come, or have an alternative, where weights train'
          : undefined;
  if (odd !== undefined)
    throw new WhorlError(
      'unsupported',
      `a job for torchrun has no loss for ${odd}`,
      'train with Whorl’s own engine (without --launch)',
    );
}
