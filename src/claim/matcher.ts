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
    match: (continuation, candidates) => firstFound(wordFinder(candidates).once, continuation, candidates),
  },
  'first-candidate-repeated': {
    singleValued: true,
    words:
      'the first candidate that stands in the continuation as a whole word, said once or several times in a row (roserose), case ignored',
    match: (continuation, candidates) =>
      firstFound(wordFinder(candidates).repeated, continuation, candidates),
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
  /** Each captures the candidate in its first group. */
  readonly once: RegExp;
  readonly repeated: RegExp;
  readonly indexOf: ReadonlyMap<string, number>;
}
const finders = new WeakMap<readonly string[], WordFinder>();

function firstFound(pattern: RegExp, continuation: string, candidates: readonly string[]): number[] {
  const found = pattern.exec(fold(continuation));
  return found ? [wordFinder(candidates).indexOf.get(found[1]!)!] : [];
}

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
  const word = (inside: string) =>
    new RegExp(`(?<![\\p{L}\\p{M}\\p{N}_])${inside}(?![\\p{L}\\p{M}\\p{N}_])`, 'u');
  const any = `(${literals.join('|')})`;
  const finder = { once: word(any), repeated: word(`${any}\\1*`), indexOf };
  finders.set(candidates, finder);
  return finder;
}

const literal = (word: string): string => word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
