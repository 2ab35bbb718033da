// From an opened claim and all of a suspect's answers to a verdict with its null, its assumptions and its limits
// in words (docs/claims.md). A pure function: hits exist only here, after the last answer.

import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { Claim } from '../claim/claim.ts';
import { looksOf, type Trials } from '../claim/grinding.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import { MATCHERS } from '../claim/matcher.ts';
import type { Opened, OpenedOf } from '../claim/open.ts';
import type { ClaimKind, ClaimPlan } from '../claim/plan.ts';
import { type Channels, FLOOR, product, type Weighed } from './channels.ts';
import { type CellCounts, matchAnswers } from './exact/exact-test.ts';
import { countTimes, isShort, lowestTerms, type PValue, timesCount, toPValue } from './exact/ratio.ts';
import { T7_NAME, T7_NULL } from './exact/t7.ts';
import { EXACT_TESTS } from './exact/tests.ts';
import {
  type Asked,
  type Circumstances,
  checkOwnerParts,
  type Evidence,
  NO_EVIDENCE,
  type OwnerParts,
  whyInexact,
  whyUndrawn,
} from './exactness.ts';
import { trialsOf, waysOf } from './paid.ts';
import { endWords, type SequentialReport, STOPPED_A4, type Stopped } from './sequential/stopped.ts';
import type { StampReading } from './stamp.ts';
import { type Word, wordOf } from './word.ts';

export type { Asked };

export interface Verdict {
  verdict: Word;
  /** Null where no exact test applies; then the verdict is not-verified. */
  p_value: number | null;
  log10_p: number | null;
  /** p of one look as a fraction in lowest terms, decimal digits; null where no p exists, and where a test that was stopped has too long a one. */
  p_exact: { numerator: string; denominator: string } | null;
  /** The least p of one look that could have come out of what was asked and read as committed, written so too. */
  reachable_exact: { numerator: string; denominator: string } | null;
  exact: boolean;
  alpha: number;
  /** Share of the keys that should fire and did, 0 to 1; 0 where there are none. */
  fsr: number;
  cells: Record<string, CellCounts>;
  /** Why this verdict, in a sentence. */
  reason: string;
  test: string;
  matcher: string;
  /** The smallest p that this claim could reach. */
  floor: PValue;
  /** Looks paid for: p is the raw one times this. A wrapper other than the committed one costs all built-in ones. */
  multiplicity: number;
  /** Draws that the owner could have tried, in words, and log10 of their number. */
  tried: string;
  log10_draws: number;
  /** Keys asked, from..to-1 of the committed order. */
  keys: { from: number; to: number; of: number };
  /** log10 p left for one who thinks that the owner tried so many draws: what decides. Null where no p exists. */
  log10_p_after_grinding: number | null;
  null_hypothesis: string;
  assumptions: string[];
  /** Whose dice, and what that is worth to a third party. */
  draw: string;
  time_proof: string;
  does_not_say: string[];
  asked: Asked;
  claim: { root: string; kind: ClaimKind; created: string; draw: Claim['draw'] };
  /** What each channel says, where a stamp was read: p is that of the keys or of the product, the smaller. */
  channels?: Channels;
  /** How a test that was stopped came to its end; absent of one of all keys. */
  sequential?: SequentialReport;
  /** SHA-256 of the answers in committed order (as a JSON list). */
  transcript_sha256: string;
}

export interface DecideOptions {
  /** How the keys were put; the committed plan's wrapper without a system prompt by default. */
  asked?: Asked;
  /** Tests made on this commitment that this verdict is the best of (suspects, say); 1 by default. */
  multiplicity?: number;
  /** The claim's alpha by default; with any other no p-value is given. */
  alpha?: number;
  /** Digests of the owner's own parts that stood in the machine that answered. */
  ownerParts?: OwnerParts;
  /** Further reasons why no p-value may be given, found beside the claim. */
  doubts?: readonly string[];
  /** Keys that were asked, from..to-1; all of them by default, any others are paid for. */
  range?: { readonly from: number; readonly to: number };
  /** Places in that range of keys that the suspect's tokenizer kept from being asked as they were committed. */
  changed?: readonly number[];
  /** Default: none was checked. */
  evidence?: Evidence;
  /** Default 1. */
  look?: number;
  /** What was read of the claim's stamp; without it the keys alone decide. */
  stamp?: StampReading | undefined;
  /** The answers are those of a test that was stopped; `range` ends where they do. */
  stopped?: Stopped | undefined;
  /** Further cells that the caller measured. */
  cells?: Record<string, CellCounts>;
}

/**
 * Decides on one answer a key, in committed order. Throws WhorlError 'mismatch' where answers are missing, or the
 * owner's parts are not the committed ones.
 */
export function decide(opened: Opened, answers: readonly string[], options: DecideOptions = {}): Verdict {
  return decideOn(opened as OpenedOf<ClaimKind>, answers, options);
}

function decideOn<K extends ClaimKind>(
  opened: OpenedOf<K>,
  answers: readonly string[],
  { range, ...options }: DecideOptions,
): Verdict {
  const of = opened.plan.keys.length;
  const { from, to } = range ?? { from: 0, to: of };
  const part =
    to - from === of
      ? opened
      : { ...opened, ...CLAIM_KINDS[opened.kind].part(opened.plan, opened.draw, from, to) };
  return decideOnPart(part as OpenedOf<K>, { from, to, of }, answers, { ...options, pool: opened.plan.keys });
}

/** The same where no more than keys from..to-1 of a claim of `of` keys is known: all that a certificate opens. */
export function decideOnPart<K extends ClaimKind>(
  { claim, plan, draw, kind, bindings }: OpenedOf<K>,
  { from, to, of }: Verdict['keys'],
  answers: readonly string[],
  options: Omit<DecideOptions, 'range'> & Pick<Circumstances, 'pool'>,
): Verdict {
  if (answers.length !== to - from)
    throw new WhorlError('mismatch', `${answers.length} answers for ${to - from} keys`, 'ask every key once');
  const { ownerParts = {}, doubts = [], multiplicity: told = 1, alpha = claim.alpha } = options;
  const asked = options.asked ?? { wrapper: plan.query.wrapper, system: null };
  checkOwnerParts(bindings, ownerParts);
  if (!(Number.isInteger(told) && told >= 1))
    throw new WhorlError('usage', `multiplicity ${told} is not a count`, 'give a whole number from 1');
  if (!(alpha > 0 && alpha < 1)) throw new WhorlError('usage', `alpha ${alpha} is not between 0 and 1`);

  const test = EXACT_TESTS[kind];
  const size = CLAIM_KINDS[kind].size(plan);
  const counts = test.counter(size, matchAnswers(plan, answers))(draw);
  const { evidence = NO_EVIDENCE, look = 1, changed = [], stopped } = options;
  const looks = looksOf(claim as unknown as Claim, plan as ClaimPlan, told, of);
  const ways = stopped?.ways ?? waysOf(plan, asked, to - from, of);
  const opened = { kind, claim, plan, draw, bindings } as unknown as Opened;
  const { pool } = options;
  const circumstances = { asked, alpha, ownerParts, evidence, look, doubts, ...(pool && { pool }) };
  const inexact = whyInexact(opened, circumstances);
  const trials = trialsOf(claim.draw, evidence);
  const tail = stopped?.tail ?? test.tail(counts);
  const reachable = stopped?.reachable ?? test.reachable(size, draw, new Set(changed));
  const alone: Weighed | undefined = inexact.length > 0 ? undefined : { tail, reachable };
  // Ways of asking are paid for by the answers' p, looks by whatever decides.
  const joint =
    options.stamp &&
    product(
      alone && of > 0 ? { tail: countTimes(tail, ways), reachable: countTimes(reachable, ways) } : undefined,
      whyUndrawn(opened, circumstances).length > 0 ? undefined : options.stamp,
    );
  const multiplicity = joint ? looks : looks * ways;
  const weighed = joint ? joint.weighed : alone;
  const p = weighed && timesCount(toPValue(weighed.tail), multiplicity);
  const left = p && Math.min(0, p.log10_p + trials.log10);
  const name = stopped?.name ?? test.name;
  const cut = stopped?.report.stopped === 'budget';
  const figures = weighed && { ...weighed, multiplicity: BigInt(multiplicity), alpha, trials };
  const found = figures ? wordOf(figures) : 'not-verified';
  const word = cut && figures && found === 'not-verified' ? 'undecided' : found;
  const fired = test.fired(counts);
  return {
    verdict: word,
    p_value: p?.p_value ?? null,
    log10_p: p?.log10_p ?? null,
    exact: p !== undefined,
    alpha,
    fsr: fired.of === 0 ? 0 : fired.hits / fired.of,
    cells: { ...test.cells(counts), ...options.cells },
    reason: [
      p
        ? reasonFor(word, p, left!, alpha, trials, cut ? CUT : joint ? READ : ASKED)
        : `${inexact.join(' ')} Counts only.`,
      ...(stopped ? [endWords(stopped.report)] : []),
    ].join(' '),
    test: joint && of > 0 ? `${name}; ${T7_NAME}` : name,
    matcher: MATCHERS[plan.matcher].words,
    p_exact: weighed && (!stopped || isShort(weighed.tail)) ? lowestTerms(weighed.tail) : null,
    reachable_exact:
      weighed && (!stopped || isShort(weighed.reachable)) ? lowestTerms(weighed.reachable) : null,
    floor: joint ? FLOOR : toPValue(stopped?.floor ?? test.reachable(size, draw, new Set())),
    multiplicity,
    tried: trials.words,
    log10_draws: trials.log10,
    keys: { from, to, of },
    log10_p_after_grinding: left ?? null,
    null_hypothesis: joint && of > 0 ? `${test.nullHypothesis} ${T7_NULL}` : test.nullHypothesis,
    assumptions: [
      ...(stopped
        ? test.assumptions.map((words) => (words.startsWith('A4') ? STOPPED_A4 : words))
        : test.assumptions),
      ...wrapperNote(plan.query.wrapper, asked),
      ...textSeedNote(claim.draw),
      ...(p && joint && of > 0 && !alone ? [`The keys count for nothing: ${inexact.join(' ')}`] : []),
    ],
    draw: drawWords(claim.draw, evidence),
    time_proof: proofWords(evidence),
    does_not_say: [...DOES_NOT_SAY],
    asked: { wrapper: asked.wrapper, system: asked.system },
    claim: { root: claim.root, kind, created: claim.created, draw: claim.draw },
    ...(joint && { channels: joint.channels }),
    ...(stopped && { sequential: stopped.report }),
    transcript_sha256: sha256Hex(JSON.stringify(answers)),
  };
}

/** Whether keys were asked in a way that the claim does not permit, so that a stamp alone decided. */
export const keysCountForNothing = ({ channels, keys: { of } }: Verdict): boolean =>
  channels !== undefined && channels.keys === null && of > 0;

/** What could not have reached the level, by what was looked at. */
const ASKED = (alpha: number): string =>
  `the keys that were asked as committed could not have reached alpha ${alpha}, had every one of them answered`;
const READ = (alpha: number): string =>
  `what was asked and read as committed could not have reached alpha ${alpha}, whatever had come out`;
const CUT = (alpha: number): string =>
  `asking ended before alpha ${alpha} was reached or the suspect given up`;

function reasonFor(
  word: Word,
  { log10_p }: PValue,
  left: number,
  alpha: number,
  { words }: Trials,
  short: (alpha: number) => string,
): string {
  const power = (log10: number): string => `10^${log10.toFixed(2)}`;
  const reached = `A model made without access to the secret draw would match at least this well with probability at most ${power(log10_p)}`;
  const sentences: Readonly<Record<Word, string>> = {
    verified: `${reached}; after ${words} ${power(left)} is left, below alpha ${alpha}.`,
    matches: `${reached}, below alpha ${alpha}; but after ${words} ${left === 0 ? 'nothing' : power(left)} is left: the owner's word, and no proof to anybody else.`,
    'not-verified': `The match is not rare enough: a model made without access to the secret draw reaches it with probability up to ${power(log10_p)}, alpha is ${alpha}.`,
    undecided: `Nothing is decided: ${short(alpha)}.`,
  };
  return sentences[word];
}

function proofWords({ proofBeforeRound, stamps = [] }: Evidence): string {
  const before = 'checked, before the round of the draw';
  if (stamps.length === 0) return proofBeforeRound ? before : 'none';
  return `${stamps.join('; ')}${proofBeforeRound ? ` (${before})` : ''}`;
}

function drawWords(draw: Claim['draw'], evidence: Evidence): string {
  const { beacon, proofBeforeRound, stamps = [] } = evidence;
  if (draw.source === 'hand-picked')
    return 'Not drawn: picked by hand or from a public seed; time_proof: none.';
  if (draw.source === 'owner-seed')
    return (
      "Drawn from the owner's own seed: valid only for suspects made after a time-proved commitment, and nothing " +
      `against an owner who asked the suspect first; time_proof: ${proofWords(evidence)}.`
    );
  const round = `Drawn from round ${draw.round} of a public beacon and the owner's seed`;
  if (!beacon)
    return `${round}, it is said; whether the recorded value is that round's is not checked here, so no p-value is given. time_proof: none.`;
  return proofBeforeRound
    ? `${round}; the round's signature and a time stamp of the claim that is earlier were checked.`
    : `${round}, whose signature was checked; that the claim is older than the round was not proved to one who trusts no more than you named${stamps.length > 0 ? ' (--tsa-root)' : ''}. time_proof: ${proofWords(evidence)}.`;
}

/** What a verdict may not be read as (docs/claims.md, section 7). */
export const DOES_NOT_SAY: readonly string[] = [
  'that the suspect was stolen',
  'how probable it is that the suspect is ours',
  'that the suspect is not derived, where the verdict is not-verified: rows can be reset, answers filtered',
  'by which way: derivation includes distillation and leaked keys or answers',
  'who came first: another claim with an earlier proved time goes before this one',
];

function wrapperNote(committed: string, { wrapper }: Asked): string[] {
  if (wrapper === committed) return [];
  return [
    `The keys were put under "${wrapper}", the plan names "${committed}": p is paid for every wrapper.`,
  ];
}

function textSeedNote(draw: Claim['draw']): string[] {
  if (draw.source !== 'owner-seed' || !draw.from_text) return [];
  const { kdf, n, r, p } = draw.from_text;
  return [
    `A3 also needs that nobody guessed the text of the seed (--seed); each guess costs ${kdf} with N = ${n}, r = ${r}, p = ${p}.`,
  ];
}
