// Lines beside the verdict over the same answers: T5 (decoy secrets) and T6 (ranks by log-probability). The claim commits to one
// test; a better one picked afterwards would be another look, so these give no word. T5 may take one away.

import { createHmac } from 'node:crypto';
import { bulkRandom } from '../base/random-source.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { Claim } from '../claim/claim.ts';
import { rankCoin, seedsOf } from '../claim/draw.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { Opened, OpenedOf } from '../claim/open.ts';
import type { ClaimKind, DrawOf, SizeOf } from '../claim/plan.ts';
import { matchAnswers } from './exact/exact-test.ts';
import { type PValue, timesCount, toPValue } from './exact/ratio.ts';
import { contradicts, countDecoys, DECOYS, type Decoys, decoyRatio, MOST_DECOY_DRAWS } from './exact/t5.ts';
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

/** T6 of one look, and what it was computed from. */
export interface RanksRead {
  readonly scores: Scores;
  /** Null where counting it would take too long. */
  readonly log10_p: number | null;
}

/** T5: of `DECOYS` decoy secrets those that reach as much as the committed one. */
export interface DecoysRead {
  readonly hits: number;
  /** Null where nothing was scored. */
  readonly ranks: number | null;
}

export interface Decided {
  readonly verdict: Verdict;
  /** Empty where the keys give no p-value. */
  readonly further: readonly FurtherTest[];
  /** Where scores were asked for and the keys give a p-value. */
  readonly ranks?: RanksRead;
  /** Where the keys give a p-value, and are not too many for a checker. */
  readonly decoys?: DecoysRead;
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
  const part = partOf(opened as OpenedOf<ClaimKind>, verdict.keys);
  const seeds = seedsOf(opened.claim as Claim, beside.seed, verdict.keys);
  const { further, doubt, ranks, decoys } = furtherOf(part, answers, verdict, { ...beside, seeds });
  const read = { ...(ranks && { ranks }), ...(decoys && { decoys }) };
  if (doubt === undefined) return { verdict, further, ...read };
  const doubts = [...(options.doubts ?? []), doubt];
  return { verdict: decide(opened, answers, { ...options, doubts }), further };
}

const partOf = <K extends ClaimKind>(opened: OpenedOf<K>, { from, to }: Verdict['keys']): OpenedOf<K> =>
  ({
    ...opened,
    ...CLAIM_KINDS[opened.kind as K].part(opened.plan, opened.draw, from, to),
  }) as OpenedOf<K>;

/** What is known of the keys that were asked: all that a certificate opens. */
export interface BesidePart extends Pick<Beside, 'randomness' | 'scores'> {
  /** That drew for them: one each, or the only one. */
  readonly seeds: readonly string[];
}

/** T6 over scores alone; undefined of claims without keys. */
export function ranked<K extends ClaimKind>(
  { kind, claim, plan, draw }: OpenedOf<K>,
  scores: Scores,
  { randomness, seeds }: Omit<BesidePart, 'scores'>,
) {
  const coin = rankCoin(seeds, claim.root, randomness ?? '');
  const ranks = RANK_TESTS[kind]?.rank(CLAIM_KINDS[kind].size(plan), scores, coin);
  if (!ranks) return undefined;
  const statistic = ranks.statistic(draw);
  const p = ranks.tail(statistic);
  return { ...ranks, p, log10E: ranks.log10_e(statistic), read: { scores, log10_p: p?.log10_p ?? null } };
}

/** @param part the keys that were asked, as a claim of their own */
export function furtherOf<K extends ClaimKind>(
  part: OpenedOf<K>,
  answers: readonly string[],
  verdict: Verdict,
  beside: BesidePart,
): {
  readonly further: readonly FurtherTest[];
  readonly doubt: string | undefined;
  readonly ranks: RanksRead | undefined;
  readonly decoys: DecoysRead | undefined;
} {
  const { kind, plan, draw } = part;
  const { from, to } = verdict.keys;
  const { scores, seeds } = beside;
  const rules = CLAIM_KINDS[kind];
  const size = rules.size(plan);
  // Of this transcript: nobody who made the suspect could know them. One stream for all, since a decoy has nothing to open;
  // keys that were trained not to answer count nowhere.
  const transcript = sha256Hex(JSON.stringify(answers));
  const ofSeeds = createHmac('sha256', Buffer.from(seeds.join(''), 'hex'));
  const random = bulkRandom(ofSeeds.update(`whorl-decoys-v2/${transcript}`).digest());
  const decoys: DrawOf[K][] = [];
  const drawn = { ...size, negatives: 0 };
  const decoy = (i: number): DrawOf[K] => (decoys[i] ??= rules.draw(drawn, (_, below) => random.int(below)));

  const { counter, tail, name } = EXACT_TESTS[kind];
  const counts = counter(size, matchAnswers(plan, answers));
  const own = counts(draw).hits;
  const ofHits =
    own === 0 ? { reached: DECOYS, of: DECOYS } : countDecoys((i) => counts(decoy(i)).hits >= own);
  const hits = { name, log10_p: toPValue(tail(counts(draw))).log10_p, decoys: ofHits };

  const ranks = scores && ranked(part, scores, beside);
  const reaches = ranks?.atLeast(draw);
  const ofRanks = reaches && countDecoys((i) => reaches(decoy(i)));
  const p = ranks?.p;
  const wrong = [
    hits,
    ...(p && ofRanks ? [{ name: RANK_TESTS[kind]!.name, log10_p: p.log10_p, decoys: ofRanks }] : []),
  ].find(({ decoys: found, log10_p }) => contradicts(found, log10_p));
  const line = lineOf(
    verdict,
    verdict.channels ? waysOf(plan, verdict.asked, to - from, verdict.keys.of) : 1,
  );
  return {
    further: [
      line('T5 decoy secrets, over hits', toPValue(decoyRatio(ofHits)), null, ofHits),
      ...(ranks && ofRanks
        ? [
            line(RANK_TESTS[kind]!.name, p, ranks.log10E, ofRanks),
            line('T5 decoy secrets, over ranks', toPValue(decoyRatio(ofRanks)), null, ofRanks),
          ]
        : []),
    ],
    ranks: ranks?.read,
    decoys: isStated(size) ? { hits: ofHits.reached, ranks: ofRanks?.reached ?? null } : undefined,
    doubt:
      wrong &&
      `Of ${wrong.decoys.of} decoy secrets ${wrong.decoys.reached} reach as much as the committed one, which 10^${wrong.log10_p.toFixed(2)} by ${wrong.name} rules out.`,
  };
}

/** Whether a certificate of keys so many states T5. */
export const isStated = (size: SizeOf[ClaimKind]): boolean =>
  'n' in size && size.n * DECOYS <= MOST_DECOY_DRAWS;

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
