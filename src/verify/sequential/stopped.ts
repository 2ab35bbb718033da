// What a verdict needs to know of a test that was stopped: p, the least that could have come out, why no further key was asked.

import type { Ratio } from '../exact/ratio.ts';
import { GIVEN_UP, type Goal, PERSISTENCE, type Stop } from './course.ts';

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
