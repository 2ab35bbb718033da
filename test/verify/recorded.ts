// What a model said once to a pool of keys, and the four plans that it is redrawn under; bench/redraws.ts records it.

import { MATCHERS } from '../../src/claim/matcher.ts';
import type { AskedKind, MatcherName, SizeOf } from '../../src/claim/plan.ts';
import type { Recorded } from '../../src/verify/redraws.ts';

const POOL = 200;
const LETTERS = [...'abcdefghijklmnop'];
const WORDS = 'the a and is of to in i it you for on that this with be'.split(' ');

/** Five letters each, fixed: what a tokenizer of few characters can read too. */
export const KEYS: readonly string[] = Array.from({ length: POOL }, (_, i) => {
  const pick = (list: string, at: number): string => list[Math.floor(i / at) % list.length]!;
  return `${pick('bdfgklmnpr', 1)}${pick('aeiou', 10)}${pick('stvz', 50)}${pick('uoiea', 7)}${pick('nrlk', 3)}`;
});

interface Table {
  readonly kind: AskedKind;
  readonly matcher: MatcherName;
  readonly candidates: readonly string[];
  readonly keys: number;
}
export const TABLES: Readonly<Record<string, Table>> = {
  'answers by letters': { kind: 'drawn-answers', matcher: 'contains', candidates: LETTERS, keys: 32 },
  'answers by words': { kind: 'drawn-answers', matcher: 'first-candidate', candidates: WORDS, keys: 32 },
  'membership by a letter': { kind: 'drawn-membership', matcher: 'contains', candidates: ['e'], keys: POOL },
  'membership by a word': { kind: 'drawn-membership', matcher: 'contains', candidates: ['the'], keys: POOL },
};

export interface RecordedModel {
  readonly name: string;
  /** One a key. */
  readonly answers: readonly string[];
  /** By table: of each key and candidate; null: no number. */
  readonly scores: Readonly<Record<string, readonly (readonly (number | null)[])[]>>;
}

export function tableOf({ answers, scores }: RecordedModel, table: string): Recorded<AskedKind> {
  const { kind, matcher, candidates, keys } = TABLES[table]!;
  const sizes: { [K in AskedKind]: SizeOf[K] } = {
    'drawn-answers': { n: keys, m: candidates.length },
    'drawn-membership': { n: 10, pool: keys, negatives: 0 },
  };
  return {
    kind,
    size: sizes[kind],
    matches: answers.slice(0, keys).map((answer) => MATCHERS[matcher].match(answer, candidates)),
    scores: scores[table]!.map((row) => row.map((score) => score ?? Number.NEGATIVE_INFINITY)),
  } as Recorded<AskedKind>;
}
