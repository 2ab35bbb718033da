// Lines beside the verdict over the same answers: T5 (decoy secrets) and T6 (ranks by log-probability). The claim commits to one
// test; a better one picked afterwards would be another look, so these give no word. T5 may take one away.

import { createHmac } from 'node:crypto';
import { bulkRandom } from '../base/random-source.ts';
import { sha256Hex } from '../base/sha256.ts';
import { slotUniform } from '../claim/draw.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { Opened, OpenedOf } from '../claim/open.ts';
import type { ClaimKind, DrawOf } from '../claim/plan.ts';
import { matchAnswers } from './exact/exact-test.ts';
import { type PValue, timesCount, toPValue } from './exact/ratio.ts';
import { contradicts, countDecoys, DECOYS, type Decoys, decoyRatio } from './exact/t5.ts';
import { RANK_TESTS, type Scores } from './exact/t6.ts';
import { EXACT_TESTS } from './exact/tests.ts';
import { waysOf } from './paid.ts';
import { type DecideOptions, decide, keysCountForNothing, type Verdict } from './verdict.ts';

export interface FurtherTest {
  readonly test: string;
  /** Paid for looks and ways of asking as the verdict is; null where it was not computed. */
  readonly p_value: number | null;
  readonly log10_p: number | null;
  /** What is left of it after the draws that the owner could have tried. */
  readonly log10_p_after_grinding: number | null;
  /** Of one look; null where the test has none. */
  readonly log10_e: number | null;
  /** Decoy secrets that reach as much as the committed one, over the same statistic. */
  readonly decoys: Decoys;
}

/** What else is known where a verdict is decided. */
export interface Beside {
  /** 64 hex digits; null of a claim that was picked by hand. */
  readonly seed: string | null;
  /** The beacon's value, where the claim has one. */
  readonly randomness: string | null;
  /** Log-probabilities of all that could have been drawn, where they were asked for. */
  readonly scores?: Scores | undefined;
}

export interface Decided {
  readonly verdict: Verdict;
  /** Empty where the keys give no p-value. */
  readonly further: readonly FurtherTest[];
}

/** As `decide`, with the further lines; decoys that contradict the committed test leave counts only. */
export function decideWithFurther(
  opened: Opened,
  answers: readonly string[],
  options: DecideOptions,
  beside: Beside,
): Decided {
  const verdict = decide(opened, answers, options);
  if (!verdict.exact || verdict.keys.of === 0 || keysCountForNothing(verdict) || beside.seed === null)
    return { verdict, further: [] };
  const { further, doubt } = furtherOf(opened as OpenedOf<ClaimKind>, answers, verdict, beside, beside.seed);
  if (doubt === undefined) return { verdict, further };
  const doubts = [...(options.doubts ?? []), doubt];
  return { verdict: decide(opened, answers, { ...options, doubts }), further };
}

function furtherOf<K extends ClaimKind>(
  { kind, claim, plan: whole, draw: drawn }: OpenedOf<K>,
  answers: readonly string[],
  verdict: Verdict,
  { randomness, scores }: Beside,
  seed: string,
): { readonly further: readonly FurtherTest[]; readonly doubt: string | undefined } {
  const { from, to } = verdict.keys;
  const rules = CLAIM_KINDS[kind];
  const { plan, draw } = rules.part(whole, drawn, from, to);
  const size = rules.size(plan);
  const secretOf = (label: string): string =>
    createHmac('sha256', Buffer.from(seed, 'hex')).update(`whorl-${label}`).digest('hex');
  const coin = slotUniform([secretOf('coin-v1')], claim.root, randomness ?? '');
  // Of this transcript: nobody who made the suspect could know them. One stream for all, since a decoy has nothing to open.
  const transcript = sha256Hex(JSON.stringify(answers));
  const random = bulkRandom(Buffer.from(secretOf(`decoys-v1/${transcript}`), 'hex'));
  const decoys: DrawOf[K][] = [];
  const decoy = (i: number): DrawOf[K] => (decoys[i] ??= rules.draw(size, (_, below) => random.int(below)));
  const count = (statistic: (draw: DrawOf[K]) => number, nothing: number): Decoys => {
    const own = statistic(draw);
    return own <= nothing ? { reached: DECOYS, of: DECOYS } : countDecoys(own, (i) => statistic(decoy(i)));
  };

  const { counter, tail, name } = EXACT_TESTS[kind];
  const counts = counter(size, matchAnswers(plan, answers));
  const ofHits = count((some) => counts(some).hits, 0);
  const hits = { name, log10_p: toPValue(tail(counts(draw))).log10_p, decoys: ofHits };

  const ranks = scores && RANK_TESTS[kind]?.rank(size, scores, coin);
  const statistic = ranks?.statistic(draw) ?? 0;
  const ofRanks = ranks && count(ranks.statistic, Number.NEGATIVE_INFINITY);
  const p = ranks?.tail(statistic);
  const wrong = [
    hits,
    ...(p && ofRanks ? [{ name: RANK_TESTS[kind]!.name, log10_p: p.log10_p, decoys: ofRanks }] : []),
  ].find(({ decoys: found, log10_p }) => contradicts(found, log10_p));
  const line = lineOf(
    verdict,
    verdict.channels ? waysOf(whole, verdict.asked, to - from, verdict.keys.of) : 1,
  );
  return {
    further: [
      line('T5 decoy secrets, over hits', toPValue(decoyRatio(ofHits)), null, ofHits),
      ...(ranks && ofRanks
        ? [
            line(RANK_TESTS[kind]!.name, p, ranks.log10_e(statistic), ofRanks),
            line('T5 decoy secrets, over ranks', toPValue(decoyRatio(ofRanks)), null, ofRanks),
          ]
        : []),
    ],
    doubt:
      wrong &&
      `Of ${wrong.decoys.of} decoy secrets ${wrong.decoys.reached} reach as much as the committed one, which 10^${wrong.log10_p.toFixed(2)} by ${wrong.name} rules out.`,
  };
}

/** @param ways of asking, where the verdict's own multiplicity does not hold them */
const lineOf =
  ({ multiplicity, log10_draws }: Verdict, ways: number) =>
  (test: string, alone: PValue | undefined, log10_e: number | null, decoys: Decoys): FurtherTest => {
    const p = alone && timesCount(alone, multiplicity * ways);
    return {
      test,
      p_value: p?.p_value ?? null,
      log10_p: p?.log10_p ?? null,
      log10_p_after_grinding: p ? Math.min(0, p.log10_p + log10_draws) : null,
      log10_e,
      decoys,
    };
  };
