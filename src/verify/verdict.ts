// From an opened claim and all of a suspect's answers to a verdict with its null, its assumptions and its limits
// in words (docs/claims.md). A pure function: hits exist only here, after the last answer.

import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../claim/canonical.ts';
import type { Claim } from '../claim/claim.ts';
import { LOG10_OWNER_DRAWS } from '../claim/grinding.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import { MATCHERS } from '../claim/matcher.ts';
import type { Opened, OpenedOf } from '../claim/open.ts';
import type { ClaimKind } from '../claim/plan.ts';
import { WRAPPERS } from '../text/prompts/wrappers.ts';
import { type CellCounts, matchAnswers } from './exact/exact-test.ts';
import { type PValue, timesCount } from './exact/ratio.ts';
import { EXACT_TESTS } from './exact/tests.ts';
import { type Asked, checkOwnerParts, type OwnerParts, whyInexact } from './exactness.ts';

export type { Asked };

export interface Verdict {
  /** `verified`: what is left of p after 2^80 draws of the owner's own is at most the committed alpha. */
  verdict: 'verified' | 'not-verified';
  /** Null where no exact test applies; then the verdict is not-verified. */
  p_value: number | null;
  log10_p: number | null;
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
  /** log10 p left for one who thinks that the owner tried 2^80 draws: what decides. Null where no p exists. */
  log10_p_after_grinding: number | null;
  null_hypothesis: string;
  assumptions: string[];
  /** Whose dice, and what that is worth to a third party. */
  draw: string;
  time_proof: string;
  does_not_say: string[];
  asked: Asked;
  claim: { root: string; kind: ClaimKind; created: string; draw: Claim['draw'] };
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
  options: DecideOptions,
): Verdict {
  const { claim, plan, draw, kind } = opened;
  if (answers.length !== plan.keys.length)
    throw new WhorlError(
      'mismatch',
      `${answers.length} answers for ${plan.keys.length} keys`,
      'ask every key once',
    );
  const { ownerParts = {}, doubts = [], multiplicity: told = 1, alpha = claim.alpha } = options;
  const asked = options.asked ?? { wrapper: plan.query.wrapper, system: null };
  checkOwnerParts(opened.bindings, ownerParts);
  if (!(Number.isInteger(told) && told >= 1))
    throw new WhorlError('usage', `multiplicity ${told} is not a count`, 'give a whole number from 1');
  if (!(alpha > 0 && alpha < 1)) throw new WhorlError('usage', `alpha ${alpha} is not between 0 and 1`);

  const test = EXACT_TESTS[kind];
  const size = CLAIM_KINDS[kind].size(plan);
  const counts = test.counter(size, matchAnswers(plan, answers))(draw);
  const multiplicity = told * (asked.wrapper === plan.query.wrapper ? 1 : WRAPPERS.size);
  const inexact = whyInexact(opened as unknown as Opened, { asked, alpha, ownerParts, doubts });
  const p = inexact.length > 0 ? undefined : timesCount(test.pValue(counts), multiplicity);
  const left = p && Math.min(0, p.log10_p + LOG10_OWNER_DRAWS);
  const fired = test.fired(counts);
  const verified = left !== undefined && left <= Math.log10(alpha);
  return {
    verdict: verified ? 'verified' : 'not-verified',
    p_value: p?.p_value ?? null,
    log10_p: p?.log10_p ?? null,
    exact: p !== undefined,
    alpha,
    fsr: fired.of === 0 ? 0 : fired.hits / fired.of,
    cells: { ...test.cells(counts), ...options.cells },
    reason: p ? reasonFor(p, left!, alpha) : `${inexact.join(' ')} Counts only.`,
    test: test.name,
    matcher: MATCHERS[plan.matcher].words,
    floor: test.floor(size),
    multiplicity,
    log10_p_after_grinding: left ?? null,
    null_hypothesis: test.nullHypothesis,
    assumptions: [
      ...test.assumptions,
      ...wrapperNote(plan.query.wrapper, asked),
      ...textSeedNote(claim.draw),
    ],
    draw: DRAW_WORDS[claim.draw.source],
    time_proof: claim.time_proof,
    does_not_say: [...DOES_NOT_SAY],
    asked,
    claim: { root: claim.root, kind, created: claim.created, draw: claim.draw },
    transcript_sha256: sha256Hex(JSON.stringify(answers)),
  };
}

/** The sentence under a p-value and what the owner's dice leave of it. */
export function reasonFor({ log10_p }: PValue, left: number, alpha: number): string {
  const power = (log10: number): string => `10^${log10.toFixed(2)}`;
  const reached = `A model made without access to the secret draw would match at least this well with probability at most ${power(log10_p)}`;
  if (left <= Math.log10(alpha))
    return `${reached}; were the owner thought to have tried 2^80 draws, ${power(left)} is left, below alpha ${alpha}.`;
  if (log10_p <= Math.log10(alpha))
    return `${reached}, below alpha ${alpha}; but the dice are the owner's, and after 2^80 draws of his ${left === 0 ? 'nothing' : power(left)} is left: no proof to anybody else.`;
  return `The match is not rare enough: a model made without access to the secret draw reaches it with probability up to ${power(log10_p)}, alpha is ${alpha}.`;
}

const DRAW_WORDS: Readonly<Record<Claim['draw']['source'], string>> = {
  'owner-seed':
    "Drawn from the owner's own seed: valid only for suspects made after a time-proved commitment, and nothing " +
    'against an owner who asked the suspect first; time_proof: none.',
  beacon:
    "Said to be drawn from public randomness of a later round and the owner's seed; whether the recorded value is that " +
    "round's is not checked here, so no p-value is given. time_proof: none.",
  'hand-picked': 'Not drawn: picked by hand or from a public seed; time_proof: none.',
};

/** What a verdict may not be read as (docs/claims.md, section 7). */
const DOES_NOT_SAY: readonly string[] = [
  'that the suspect was stolen',
  'how probable it is that the suspect is ours',
  'that the suspect is not derived, where the verdict is not-verified: rows can be reset, answers filtered',
  'by which way: derivation includes distillation and leaked keys or answers',
  'who came first: another claim with an earlier proved time goes before this one',
];

function wrapperNote(committed: string, { wrapper }: Asked): string[] {
  if (wrapper === committed) return [];
  return [
    `The keys were put under "${wrapper}", the plan names "${committed}": p is paid for ${WRAPPERS.size} built-in wrappers.`,
  ];
}

function textSeedNote(draw: Claim['draw']): string[] {
  if (draw.source !== 'owner-seed' || !draw.from_text) return [];
  const { kdf, n, r, p } = draw.from_text;
  return [
    `A3 also needs that nobody guessed the text of the seed (--seed); each guess costs ${kdf} with N = ${n}, r = ${r}, p = ${p}.`,
  ];
}
