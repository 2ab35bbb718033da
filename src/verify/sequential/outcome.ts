// The course of a claim's keys, what came of it, and the same replayed out of a certificate.

import { WhorlError } from '../../base/error.ts';
import type { Claim } from '../../claim/claim.ts';
import { looksOf } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { OpenedOf } from '../../claim/open.ts';
import type { AskedKind, ClaimPlan, SizeOf } from '../../claim/plan.ts';
import { NO_EVIDENCE } from '../exactness.ts';
import { trialsOf, waysOfStopping } from '../paid.ts';
import type { DecideOptions } from '../verdict.ts';
import { Course, type Goal, type Stop } from './course.ts';
import type { SequentialReport, Stopped } from './stopped.ts';

interface Terms {
  /** The first key, and how many the claim has. */
  readonly from: number;
  readonly keys: number;
  /** How many there are to ask from the first on. */
  readonly of: number;
  readonly until: Goal;
}

type Deciding = Pick<DecideOptions, 'multiplicity' | 'alpha' | 'evidence' | 'changed'> &
  Required<Pick<DecideOptions, 'asked'>>;

/**
 * Before the first answer.
 * @param part the keys that there are to ask and what was drawn for them; of a stranger's, `size` where their texts are not known
 */
export function courseOf<K extends AskedKind>(
  { kind, plan, draw, claim }: OpenedOf<K>,
  { from, keys, of, until }: Terms,
  { asked, multiplicity: told = 1, alpha = claim.alpha, evidence = NO_EVIDENCE, changed = [] }: Deciding,
  size: SizeOf[K] = CLAIM_KINDS[kind as K].size(plan),
): { course: Course<K>; ways: number } {
  const ways = waysOfStopping(plan, asked, from, keys);
  const multiplicity = looksOf(claim as unknown as Claim, plan, told, keys) * ways;
  const stakes = { multiplicity, alpha, trials: trialsOf(claim.draw, evidence), until };
  return { course: new Course<K>(kind as K, size, draw, { of, lost: new Set(changed) }, stakes), ways };
}

/** The candidates that the answer to key i names. */
export const namedBy = <K extends AskedKind>(plan: ClaimPlan<K>, i: number, answer: string): number[] =>
  MATCHERS[plan.matcher].match(answer, CLAIM_KINDS[plan.kind as K].candidates(plan, i));

/** @param course that has come to its end */
export function outcome<K extends AskedKind>(
  course: Course<K>,
  { of, until }: Terms,
  ways: number,
  told: Pick<SequentialReport, 'budget' | 'not_counted' | 'looks'>,
): Stopped {
  const { name, p: tail, reachable, floor } = course;
  const report = {
    ...{ stopped: course.stop!, until, budget: told.budget, asked: course.asked, of },
    not_counted: told.not_counted,
    reached_alpha_at: course.reachedAlphaAt,
    e_path: course.path,
    log10_e: course.log10Best,
    looks: told.looks,
  };
  return { name, tail, reachable, floor, ways, report };
}

/**
 * What a certificate says of its test that was stopped, by the rules again.
 * @param part the keys that were asked, with the draw of all from the first on
 * @param why absent of other answers to the same keys: those beyond an earlier end count for nothing
 * @throws WhorlError `mismatch` where it stopped otherwise than it says
 */
export function replayStopped<K extends AskedKind>(
  part: OpenedOf<K>,
  terms: Terms,
  deciding: Deciding,
  size: SizeOf[K],
  answers: readonly string[],
  why: Stop | undefined,
): Stopped {
  const { course, ways } = courseOf(part, terms, deciding, size);
  for (const [i, answer] of answers.entries()) {
    if (course.stop !== undefined && why !== undefined)
      throw otherwise(`it stopped after ${course.asked} keys, and ${answers.length} were asked`);
    course.take(namedBy(part.plan, i, answer));
  }
  course.end();
  if (why !== undefined && course.stop !== why)
    throw otherwise(`it stopped because of "${course.stop}", not "${why}"`);
  return outcome(course, terms, ways, { budget: null, not_counted: 0, looks: 1 });
}

const otherwise = (what: string): WhorlError =>
  new WhorlError('mismatch', `the certificate does not hold: ${what}`, 'do not rely on it');
