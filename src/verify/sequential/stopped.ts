// Asks key by key until a course stops, and what a verdict needs to know of it: p, the least that could have come out, why no
// further key was asked.

import { WhorlError } from '../../base/error.ts';
import { looksOf } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { Opened, OpenedOf } from '../../claim/open.ts';
import type { AskedKind } from '../../claim/plan.ts';
import type { Ratio } from '../exact/ratio.ts';
import type { Asked, Evidence } from '../exactness.ts';
import { trialsOf, waysOfStopping } from '../paid.ts';
import { Course, GIVEN_UP, type Goal, PERSISTENCE, type Stop } from './course.ts';

export interface SequentialOptions {
  /** Asking goes on for this word while it can be reached; default: verified. */
  readonly until?: Goal;
  /** Most keys that this suspect is asked, earlier calls included; default: all. */
  readonly budget?: number;
}

/** How a test came to its end. */
export interface SequentialReport {
  readonly stopped: Stop;
  readonly until: Goal;
  readonly budget: number | null;
  /** Keys that count, of those that no certificate opened. */
  readonly asked: number;
  readonly of: number;
  /** Answers beyond the end, which were there already or came with others: they count for nothing. */
  readonly not_counted: number;
  /** Keys after which p, paid for, was at most alpha for the first time. */
  readonly reached_alpha_at: number | null;
  /** log10 of the e-process after each key, and its greatest value, of which p is one over. */
  readonly e_path: readonly number[];
  readonly log10_e: number;
  /** Verdicts by this test out of the same transcript, this one included; they cost nothing, whatever their number. */
  readonly looks: number;
}

/** What a verdict is made of in place of a test of all keys. */
export interface Stopped {
  readonly name: string;
  readonly tail: Ratio;
  readonly reachable: Ratio;
  readonly floor: Ratio;
  /** Ways of asking and testing that are paid for. */
  readonly ways: number;
  readonly report: SequentialReport;
}

export interface Turns {
  readonly opened: Opened;
  /** Keys that no certificate opened. */
  readonly range: { readonly from: number; readonly to: number };
  readonly asked: Asked;
  /** Tests that are told beside this one, as `decide` has it. */
  readonly told: number;
  readonly alpha: number;
  readonly evidence: Evidence;
  /** Places in the range that the suspect's tokenizer changes. */
  readonly changed?: readonly number[];
  readonly options: SequentialOptions;
  /** Answers to places from..to-1 of the range, in order. `over-budget` ends the asking, whatever else fails ends the call. */
  readonly ask: (from: number, to: number) => AsyncIterable<string>;
  /** Least number of keys asked at a time, where asking in vain costs nothing; default 1. */
  readonly atATime?: number;
  /** Notes a look, and says how many there were. */
  readonly look: (report: Omit<SequentialReport, 'looks'>) => number;
}

/** The answers that count, and how it ended. @throws WhorlError `usage` where nothing that could be asked reaches alpha */
export async function askInTurn(turns: Turns): Promise<{ answers: string[]; stopped: Stopped }> {
  const opened = turns.opened as OpenedOf<AskedKind>;
  return asked(opened, turns);
}

async function asked<K extends AskedKind>(
  { kind, plan, draw, claim }: OpenedOf<K>,
  turns: Turns,
): Promise<{ answers: string[]; stopped: Stopped }> {
  const { from, to } = turns.range;
  const { until = 'verified', budget } = turns.options;
  const rules = CLAIM_KINDS[kind as K];
  const part = rules.part(plan, draw, from, to);
  const of = to - from;
  const ways = waysOfStopping(plan, turns.asked, from, plan.keys.length);
  const course = new Course<K>(
    kind as K,
    rules.size(part.plan),
    part.draw,
    { of, lost: new Set(turns.changed) },
    {
      multiplicity: looksOf(turns.opened.claim, plan, turns.told, plan.keys.length) * ways,
      alpha: turns.alpha,
      trials: trialsOf(claim.draw, turns.evidence),
      until,
    },
  );
  if (course.stop !== undefined && (turns.changed ?? []).length === 0) throw tooFew(of, turns.alpha);
  const matcher = MATCHERS[plan.matcher];
  const answers: string[] = [];
  const most = Math.min(of, budget ?? of);
  try {
    while (course.stop === undefined && answers.length < most) {
      const next = Math.min(most, answers.length + Math.max(course.together, turns.atATime ?? 1));
      for await (const answer of turns.ask(answers.length, next)) {
        course.take(matcher.match(answer, rules.candidates(part.plan, answers.length)));
        answers.push(answer);
      }
    }
  } catch (cause) {
    if (!(cause instanceof WhorlError && cause.code === 'over-budget' && answers.length > 0)) throw cause;
  }
  course.end();
  const report = {
    ...{ stopped: course.stop!, until, budget: budget ?? null, asked: course.asked, of },
    not_counted: answers.length - course.asked,
    reached_alpha_at: course.reachedAlphaAt,
    e_path: course.path,
    log10_e: course.log10Best,
  };
  const { name, p: tail, reachable, floor } = course;
  return {
    answers: answers.slice(0, course.asked),
    stopped: { name, tail, reachable, floor, ways, report: { ...report, looks: turns.look(report) } },
  };
}

const tooFew = (of: number, alpha: number): WhorlError =>
  new WhorlError(
    'usage',
    `${of} keys of this claim are too few for a test that is stopped: alpha ${alpha} is out of reach, whatever they answer`,
    'nothing was asked; verify without --sequential',
  );

const percent = (share: number): string => `${100 * share} %`;

/** Why no further key was asked, in a sentence. */
const ENDS: Readonly<Record<Stop, (after: string) => string>> = {
  verified: (after) => `Stopped after ${after}.`,
  matches: (after) => `Stopped after ${after}.`,
  'out-of-reach': (after) =>
    `Stopped after ${after}: alpha could not be reached any more, whatever the others answered.`,
  futile: (after) =>
    `Given up after ${after}: no evidence at a persistence of ${percent(PERSISTENCE)}. Where at least that share of the keys still answers, this happens with probability ${percent(GIVEN_UP)} at most.`,
  'all-asked': (after) => `Ended with ${after}.`,
  budget: (after) =>
    `The budget ended after ${after}: the same command with a larger one goes on, and asks nothing twice.`,
};

export const endWords = ({ stopped, asked, of }: SequentialReport): string =>
  ENDS[stopped](`${asked} of ${of} keys`);

/** The assumption about asking, in place of the one of a test of all keys. */
export const STOPPED_A4 =
  'A4: keys were asked once each and in committed order; hits decided nothing but when to stop, which an e-process allows.';
