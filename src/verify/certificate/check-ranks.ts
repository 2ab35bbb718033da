// T6 of a certificate, anew from the scores that it holds (src/verify/certificate/README.md, Ranks).

import { CLAIM_KINDS } from '../../claim/kinds.ts';
import type { OpenedOf } from '../../claim/open.ts';
import type { ClaimKind } from '../../claim/plan.ts';
import type { Scores } from '../exact/t6.ts';
import { ranked } from '../further.ts';
import { wrong } from './does-not-hold.ts';
import { chainedRanks, type Predicate } from './statement.ts';

/** Digits that two ways of computing one logarithm agree in. */
const AS_CLOSE = 1e-9;

/**
 * @param part the keys that were asked
 * @returns the scores; undefined where it holds none
 * @throws WhorlError `mismatch` where they are not of these keys, not in the chain, or T6 is another
 */
export function checkRanks<K extends ClaimKind>(
  part: OpenedOf<K>,
  { ranks, transcript, stamp, stopped }: Predicate,
  drawnBy: { readonly seeds: readonly string[]; readonly randomness: string },
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
  const scores = ranks.scores.map((row) => row.map((score) => score ?? Number.NEGATIVE_INFINITY));
  const found = ranked(part, scores, drawnBy)?.read.log10_p ?? null;
  const near =
    found === null || ranks.log10_p === null
      ? found === ranks.log10_p
      : Math.abs(found - ranks.log10_p) <= AS_CLOSE * Math.max(1, -found);
  if (!near) wrong(`T6 is ${ranks.log10_p}, replayed ${found}`);
  return scores;
}
