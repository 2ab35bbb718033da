// Asks key by key until a course stops, and decides on the answers that count.

import { WhorlError } from '../../base/error.ts';
import type { Claim } from '../../claim/claim.ts';
import { looksOf } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { Opened, OpenedOf } from '../../claim/open.ts';
import type { AskedKind } from '../../claim/plan.ts';
import { NO_EVIDENCE } from '../exactness.ts';
import { trialsOf, waysOfStopping } from '../paid.ts';
import { type DecideOptions, decide, type Verdict } from '../verdict.ts';
import { Course } from './course.ts';
import type { SequentialOptions, Stopped } from './stopped.ts';

export interface Turns {
  readonly options: SequentialOptions;
  /** Answers to places from..to-1 of the range, in order. `over-budget` ends the asking, whatever else fails ends the call. */
  readonly ask: (from: number, to: number) => AsyncIterable<string>;
  /** Least number of keys asked at a time, where asking in vain costs nothing; default 1. */
  readonly atATime?: number;
  /** Notes a look, by why it ended and after how many keys, and says how many looks there were. */
  readonly look: (stopped: string, keys: number) => number;
}

/** What `decide` is told; its range are the keys that no certificate opened. */
type Deciding = DecideOptions & Required<Pick<DecideOptions, 'range' | 'asked'>>;

/** As `decide`, by the answers that count. @throws WhorlError `usage` where nothing that could be asked reaches alpha */
export async function decideInTurn(opened: Opened, deciding: Deciding, turns: Turns): Promise<Verdict> {
  const { answers, stopped } = await askInTurn(opened as OpenedOf<AskedKind>, deciding, turns);
  const { from } = deciding.range;
  return decide(opened, answers, { ...deciding, range: { from, to: from + answers.length }, stopped });
}

async function askInTurn<K extends AskedKind>(
  { kind, plan, draw, claim }: OpenedOf<K>,
  {
    range: { from, to },
    asked,
    multiplicity: told = 1,
    alpha = claim.alpha,
    evidence = NO_EVIDENCE,
    changed = [],
  }: Deciding,
  { options: { until = 'verified', budget }, ask, atATime = 1, look }: Turns,
): Promise<{ answers: string[]; stopped: Stopped }> {
  const rules = CLAIM_KINDS[kind as K];
  const part = rules.part(plan, draw, from, to);
  const of = to - from;
  const ways = waysOfStopping(plan, asked, from, plan.keys.length);
  const course = new Course<K>(
    kind as K,
    rules.size(part.plan),
    part.draw,
    { of, lost: new Set(changed) },
    {
      multiplicity: looksOf(claim as unknown as Claim, plan, told, plan.keys.length) * ways,
      alpha,
      trials: trialsOf(claim.draw, evidence),
      until,
    },
  );
  if (course.stop !== undefined && changed.length === 0) throw tooFew(of, alpha);
  const matcher = MATCHERS[plan.matcher];
  const answers: string[] = [];
  const most = Math.min(of, budget ?? of);
  try {
    while (course.stop === undefined && answers.length < most) {
      const next = Math.min(most, answers.length + Math.max(course.together, atATime));
      for await (const answer of ask(answers.length, next)) {
        course.take(matcher.match(answer, rules.candidates(part.plan, answers.length)));
        answers.push(answer);
      }
    }
  } catch (cause) {
    if (!(cause instanceof WhorlError && cause.code === 'over-budget' && answers.length > 0)) throw cause;
  }
  course.end();
  const why = course.stop!;
  const report = {
    ...{ stopped: why, until, budget: budget ?? null, asked: course.asked, of },
    not_counted: answers.length - course.asked,
    reached_alpha_at: course.reachedAlphaAt,
    e_path: course.path,
    log10_e: course.log10Best,
  };
  const { name, p: tail, reachable, floor } = course;
  return {
    answers: answers.slice(0, course.asked),
    stopped: { name, tail, reachable, floor, ways, report: { ...report, looks: look(why, course.asked) } },
  };
}

const tooFew = (of: number, alpha: number): WhorlError =>
  new WhorlError(
    'usage',
    `${of} keys of this claim are too few for a test that is stopped: alpha ${alpha} is out of reach, whatever they answer`,
    'nothing was asked; verify without --sequential',
  );
