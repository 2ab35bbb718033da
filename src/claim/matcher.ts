// Which candidates an answer names. Verifier and test share it; it never sees the draw.

import type { MatcherName } from './plan.ts';

export interface Matcher {
  /** True where an answer can name one candidate at most, so that q_i <= 1/m. */
  readonly singleValued: boolean;
  readonly words: string;
  /** Indices of the candidates found in a continuation, ascending. */
  match(continuation: string, candidates: readonly string[]): number[];
}

export const MATCHERS: Readonly<Record<MatcherName, Matcher>> = {
  'first-candidate': {
    singleValued: true,
    words: 'the first candidate that stands in the continuation as a whole word, case ignored',
    match(continuation, candidates) {
      const { pattern, indexOf } = wordFinder(candidates);
      const found = pattern.exec(fold(continuation));
      return found ? [indexOf.get(found[0])!] : [];
    },
  },
  contains: {
    singleValued: false,
    words: 'the candidate stands anywhere in the continuation',
    match: (continuation, candidates) => {
      const text = continuation.normalize('NFC');
      return candidates.flatMap((candidate, i) => (text.includes(candidate.normalize('NFC')) ? [i] : []));
    },
  },
};

export const fold = (text: string): string => text.normalize('NFC').toLowerCase();

interface WordFinder {
  pattern: RegExp;
  indexOf: Map<string, number>;
}
const finders = new WeakMap<readonly string[], WordFinder>();

// One alternation of literals, longest first: the regex engine then gives the earliest match, ties to the longest.
// A word is bounded by anything but letters, marks, digits and `_` (Unicode categories L, M, N).
function wordFinder(candidates: readonly string[]): WordFinder {
  const known = finders.get(candidates);
  if (known) return known;
  const indexOf = new Map<string, number>();
  candidates.forEach((candidate, i) => {
    const folded = fold(candidate);
    if (!indexOf.has(folded)) indexOf.set(folded, i);
  });
  const literals = [...indexOf.keys()].sort((a, b) => b.length - a.length).map(literal);
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{M}\\p{N}_])(?:${literals.join('|')})(?![\\p{L}\\p{M}\\p{N}_])`,
    'u',
  );
  const finder = { pattern, indexOf };
  finders.set(candidates, finder);
  return finder;
}

const literal = (word: string): string => word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
