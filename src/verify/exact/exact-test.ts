// What an exact test is: counts out of answers, and a p-value out of counts. One object a kind of claim.

import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { ClaimKind, ClaimPlan, DrawOf, SizeOf } from '../../claim/plan.ts';
import type { Ratio } from './ratio.ts';

export interface CellCounts {
  readonly hits: number;
  readonly of: number;
}

export interface CountsOf {
  /** candidates[i]: how many of the m candidates of key i its answer names; hits: how often the drawn one. */
  'drawn-answers': { readonly m: number; readonly candidates: readonly number[]; readonly hits: number };
  /** all: hits in the whole pool; hits: among the n drawn. */
  'drawn-membership': {
    readonly pool: number;
    readonly n: number;
    readonly all: number;
    readonly hits: number;
  };
  /** Nothing is asked. */
  'drawn-direction': { readonly hits: 0 };
}

/** matches[i]: the candidates (ascending) that the answer to key i names. */
export type Matches = readonly (readonly number[])[];

/** What the answers name, key by key; knows nothing of the draw. `answers[i]` is key i's continuation. */
export function matchAnswers<K extends ClaimKind>(plan: ClaimPlan<K>, answers: readonly string[]): Matches {
  const rules = CLAIM_KINDS[plan.kind as K];
  const matcher = MATCHERS[plan.matcher];
  return answers.map((answer, i) => matcher.match(answer, rules.candidates(plan, i)));
}

export interface ExactTest<K extends ClaimKind> {
  readonly name: string;
  /** The null hypothesis in words. */
  readonly nullHypothesis: string;
  readonly assumptions: readonly string[];
  /** The smallest p-value that answers can reach where the keys of `lost` were not asked as they were committed. */
  readonly reachable: (size: SizeOf[K], draw: DrawOf[K], lost: ReadonlySet<number>) => Ratio;
  /** The only place where answers meet the draw; `matches[i]` as of `matchAnswers`. What no draw changes is
   * counted once, so that 100,000 draws over one transcript stay cheap (calibrate.ts). */
  readonly counter: (size: SizeOf[K], matches: Matches) => (draw: DrawOf[K]) => CountsOf[K];
  /** One-sided: at least so many hits, given the answers. No hit gives 1. */
  readonly tail: (counts: CountsOf[K]) => Ratio;
  readonly cells: (counts: CountsOf[K]) => Record<string, CellCounts>;
  /** The keys that should fire: what the FSR is the share of. */
  readonly fired: (counts: CountsOf[K]) => CellCounts;
}

/** Shared by both tests (docs/claims.md, section 3). */
export const ASSUMPTIONS: readonly string[] = [
  'A1: nobody could foresee the draw when the commitment was made.',
  'A2: the commitment binds (SHA-256), and its time is honest.',
  'A3: neither the draw nor the fingerprinted model reached the maker of the suspect (that is what the test is about).',
  'A4: every key was asked once, in committed order; hits were computed after the last answer and steered nothing.',
  'A5: all tests made under this commitment are reported or counted.',
];
