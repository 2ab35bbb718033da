// Small plans that the tests of claim and verify share.

import type { CommitOptions } from '../../src/claim/commitment.ts';
import { MATCHERS } from '../../src/claim/matcher.ts';
import type { Bindings, ClaimKind, Key, PlanOf } from '../../src/claim/plan.ts';
import { wrapperTexts } from '../../src/text/prompts/wrappers.ts';

const key = (i: number): Key => ({ text: `key ${i}`, tokens: [i, i + 1] });
const keys = (count: number): Key[] => Array.from({ length: count }, (_, i) => key(i));
const shared = {
  decoding: { strategy: 'greedy' as const, max_new_tokens: 12 },
  query: {
    order: 'committed' as const,
    repeats: 1 as const,
    wrapper: 'bare',
    wrappers: wrapperTexts(),
    systems: [] as string[],
  },
  most_looks: 1,
} satisfies Partial<PlanOf['drawn-answers']>;

export const words = (m: number): string[] => Array.from({ length: m }, (_, i) => `word${i}`);

export const answersPlan = (n = 32, m = 256): PlanOf['drawn-answers'] => ({
  kind: 'drawn-answers',
  keys: keys(n),
  matcher: 'first-candidate',
  matcher_text: MATCHERS['first-candidate'].words,
  ...shared,
  alpha: 1e-6,
  candidates: [words(m)],
});

export const membershipPlan = (pool = 400, n = 20, negatives = 30): PlanOf['drawn-membership'] => ({
  kind: 'drawn-membership',
  keys: keys(pool),
  matcher: 'contains',
  matcher_text: MATCHERS.contains.words,
  ...shared,
  alpha: 1e-6,
  n,
  negatives,
  decryptions: ['ハリネズミ'],
});

export const bindings: Bindings = {
  trainable_rows: [],
  private_part: { state: 'none' },
  vanilla: {
    weights: 'a'.repeat(64),
    body: 'b'.repeat(64),
    embedding: '1'.repeat(64),
    tokenizer: 'e'.repeat(64),
    config: 'f'.repeat(64),
    special_tokens: '2'.repeat(64),
  },
};

export const committing = <K extends ClaimKind>(
  change: Partial<CommitOptions<K>> = {},
): CommitOptions<K> => ({
  bindings,
  draw: { source: 'owner-seed' },
  software: { name: 'whorl', version: '0.1.0' },
  created: new Date(0),
  ...change,
});

/** Uniform numbers in [0, 1) that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
