// T6 and T5 of a certificate, anew from the scores and answers that it holds (src/verify/certificate/README.md, Ranks, Decoys).

import { CLAIM_KINDS } from '../../claim/kinds.ts';
import type { OpenedOf } from '../../claim/open.ts';
import type { ClaimKind } from '../../claim/plan.ts';
import type { Scores } from '../exact/t6.ts';
import { type FurtherTest, furtherOf, isStated, ranked } from '../further.ts';
import type { Verdict } from '../verdict.ts';
import { wrong } from './does-not-hold.ts';
import { chainedRanks, type Predicate } from './statement.ts';

/** Digits that two ways of computing one logarithm agree in. */
const AS_CLOSE = 1e-9;

interface DrawnBy {
  readonly seeds: readonly string[];
  readonly randomness: string;
}

export interface CheckedFurther {
  /** T5 and T6. Ten thousand draws are scored for T5: where the certificate does not state it, only when this is called. */
  readonly further: () => readonly FurtherTest[];
  /** log10 of T6's p of one look, of other scores of the same keys. */
  readonly rank: (scores: Scores) => number | null;
}

/**
 * @param part the keys that were asked
 * @param verdict as the judge has it
 * @throws WhorlError `mismatch` where scores are not of these keys, not in the chain, or T6 or T5 is another
 */
export function checkFurther<K extends ClaimKind>(
  part: OpenedOf<K>,
  predicate: Predicate,
  drawnBy: DrawnBy,
  verdict: Verdict,
): CheckedFurther {
  const scores = checkRanks(part, predicate, drawnBy);
  const { decoys, transcript, stopped } = predicate;
  const none = transcript.length === 0 || stopped !== undefined;
  if (decoys && (none || !isStated(CLAIM_KINDS[part.kind as K].size(part.plan))))
    wrong('it counts decoys where nothing is counted');
  const answers = transcript.map(({ answer }) => answer);
  const computed = () => furtherOf(part, answers, verdict, { ...drawnBy, scores });
  const rank = (others: Scores): number | null => ranked(part, others, drawnBy)?.read.log10_p ?? null;
  if (!decoys) return { further: () => (none ? [] : computed().further), rank };
  const { decoys: found, doubt, further } = computed();
  for (const name of ['hits', 'ranks'] as const)
    if (decoys[name] !== found![name])
      wrong(`T5 over ${name} has ${decoys[name]} decoys, replayed ${found![name]}`);
  if (doubt !== undefined) wrong(doubt);
  return { further: () => further, rank };
}

/** What no number stands for is less than all. */
export const numbersIn = ({ scores }: NonNullable<Predicate['ranks']>): Scores =>
  scores.map((row) => row.map((score) => score ?? Number.NEGATIVE_INFINITY));

/** @returns the scores; undefined where it holds none */
function checkRanks<K extends ClaimKind>(
  part: OpenedOf<K>,
  { ranks, transcript, stamp, stopped }: Predicate,
  drawnBy: DrawnBy,
): Scores | undefined {
  if (!ranks) return undefined;
  const { plan, kind } = part;
  if (stopped || plan.keys.length === 0) wrong('it ranks where nothing is ranked');
  const { candidates } = CLAIM_KINDS[kind];
  const asKeys = (row: readonly unknown[], i: number) => row.length === candidates(plan, i).length;
  if (ranks.scores.length !== plan.keys.length || !ranks.scores.every(asKeys))
    wrong('it has another number of scores than there are candidates');
  if (chainedRanks(transcript, stamp, ranks).chain !== ranks.chain)
    wrong('the chain of answers is broken where it ranks');
  const scores = numbersIn(ranks);
  const found = ranked(part, scores, drawnBy)?.read.log10_p ?? null;
  const near =
    found === null || ranks.log10_p === null
      ? found === ranks.log10_p
      : Math.abs(found - ranks.log10_p) <= AS_CLOSE * Math.max(1, -found);
  if (!near) wrong(`T6 is ${ranks.log10_p}, replayed ${found}`);
  return scores;
}
