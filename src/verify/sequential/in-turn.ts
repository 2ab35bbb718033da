// Asks key by key until a course stops, and decides on the answers that count.

import { WhorlError } from '../../base/error.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import type { Opened, OpenedOf } from '../../claim/open.ts';
import type { AskedKind } from '../../claim/plan.ts';
import { type DecideOptions, decide, type Verdict } from '../verdict.ts';
import { courseOf, namedBy, outcome } from './outcome.ts';
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
  opened: OpenedOf<K>,
  deciding: Deciding,
  { options: { until = 'verified', budget }, ask, atATime = 1, look }: Turns,
): Promise<{ answers: string[]; stopped: Stopped }> {
  const { kind, plan, draw, claim } = opened;
  const { from, to } = deciding.range;
  const part = CLAIM_KINDS[kind as K].part(plan, draw, from, to);
  const of = to - from;
  const terms = { from, keys: plan.keys.length, of, until };
  const { course, ways } = courseOf<K>({ ...opened, ...part } as OpenedOf<K>, terms, deciding);
  // Where a stamp was read it decides.
  if (course.stop !== undefined && (deciding.changed ?? []).length === 0 && !deciding.stamp)
    throw tooFew(of, deciding.alpha ?? claim.alpha);
  const answers: string[] = [];
  const most = Math.min(of, budget ?? of);
  try {
    while (course.stop === undefined && answers.length < most) {
      const next = Math.min(most, answers.length + Math.max(course.together, atATime));
      for await (const answer of ask(answers.length, next)) {
        course.take(namedBy(part.plan, answers.length, answer));
        answers.push(answer);
      }
    }
  } catch (cause) {
    if (!(cause instanceof WhorlError && cause.code === 'over-budget' && answers.length > 0)) throw cause;
  }
  course.end();
  const told = { budget: budget ?? null, not_counted: answers.length - course.asked };
  return {
    answers: answers.slice(0, course.asked),
    stopped: outcome(course, terms, ways, { ...told, looks: look(course.stop!, course.asked) }),
  };
}

const tooFew = (of: number, alpha: number): WhorlError =>
  new WhorlError(
    'usage',
    `${of} keys of this claim are too few for a test that is stopped: alpha ${alpha} is out of reach, whatever they answer`,
    'nothing was asked; verify without --sequential',
  );
