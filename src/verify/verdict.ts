// From an opened claim and all of a suspect's answers to a verdict with its null, its assumptions and its limits
// in words (claims.md B3, B7, B8). A pure function: hits exist only here, after the last answer.

import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../claim/canonical.ts';
import type { Claim } from '../claim/claim.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import { MATCHERS } from '../claim/matcher.ts';
import type { Opened, OpenedOf } from '../claim/open.ts';
import type { ClaimKind } from '../claim/plan.ts';
import { type CellCounts, matchAnswers } from './exact/exact-test.ts';
import { type PValue, timesCount } from './exact/ratio.ts';
import { EXACT_TESTS } from './exact/tests.ts';

/** log10 of the 2^80 seeds that an owner could try before he commits (claims.md B4). */
const LOG10_GRINDING = 80 * Math.log10(2);

export interface Verdict {
  verdict: 'verified' | 'not-verified';
  /** Null where no exact test applies; then the verdict is not-verified. */
  p_value: number | null;
  log10_p: number | null;
  exact: boolean;
  alpha: number;
  /** Share of the keys that should fire and did, 0 to 1. */
  fsr: number;
  cells: Record<string, CellCounts>;
  /** Why this verdict, in a sentence. */
  reason: string;
  test: string;
  matcher: string;
  /** The smallest p that this claim could reach. */
  floor: PValue;
  /** Looks paid for: p is the raw one times this. */
  multiplicity: number;
  /** log10 p left for one who thinks that the owner tried 2^80 seeds; null where none was tried or no p exists. */
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

export interface Asked {
  wrapper: string;
  system: string | null;
}

export interface DecideOptions {
  /** How the keys were put; the committed plan's wrapper without a system prompt by default. */
  asked?: Asked;
  /** Tests made on this commitment that this verdict is the best of (suspects, wrappers); 1 by default. */
  multiplicity?: number;
  /** The claim's alpha by default. */
  alpha?: number;
  /** Digests of the owner's own parts that stood in the machine that answered. */
  ownerParts?: { adapter?: string; body?: string };
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
  checkOwnerParts(opened, options.ownerParts ?? {});
  const multiplicity = options.multiplicity ?? 1;
  const alpha = options.alpha ?? claim.alpha;
  if (!(Number.isInteger(multiplicity) && multiplicity >= 1))
    throw new WhorlError(
      'usage',
      `multiplicity ${multiplicity} is not a count`,
      'give a whole number from 1',
    );
  if (!(alpha > 0 && alpha < 1)) throw new WhorlError('usage', `alpha ${alpha} is not between 0 and 1`);

  const test = EXACT_TESTS[kind];
  const size = CLAIM_KINDS[kind].size(plan);
  const counts = test.counter(size, matchAnswers(plan, answers))(draw);
  const inexact = whyInexact(claim);
  const p = inexact === undefined ? timesCount(test.pValue(counts), multiplicity) : undefined;
  const fired = test.fired(counts);
  const verified = p !== undefined && p.p_value <= alpha;
  const asked = options.asked ?? { wrapper: plan.query.wrapper, system: null };
  return {
    verdict: verified ? 'verified' : 'not-verified',
    p_value: p?.p_value ?? null,
    log10_p: p?.log10_p ?? null,
    exact: p !== undefined,
    alpha,
    fsr: fired.hits / fired.of,
    cells: { ...test.cells(counts), ...options.cells },
    reason: inexact ?? reasonFor(p!, alpha, verified),
    test: test.name,
    matcher: MATCHERS[plan.matcher].words,
    floor: test.floor(size),
    multiplicity,
    log10_p_after_grinding:
      p && claim.draw.source === 'owner-seed' ? Math.min(0, p.log10_p + LOG10_GRINDING) : null,
    null_hypothesis: test.nullHypothesis,
    assumptions: [...test.assumptions, ...wrapperNote(plan.query.wrapper, asked)],
    draw: DRAW_WORDS[claim.draw.source],
    time_proof: claim.time_proof,
    does_not_say: [...DOES_NOT_SAY],
    asked,
    claim: { root: claim.root, kind, created: claim.created, draw: claim.draw },
    transcript_sha256: sha256Hex(JSON.stringify(answers)),
  };
}

function checkOwnerParts(
  { bindings }: OpenedOf<ClaimKind>,
  parts: { adapter?: string; body?: string },
): void {
  const { private_part, vanilla } = bindings;
  const wrong = (what: string): never => {
    throw new WhorlError(
      'mismatch',
      `the ${what} that answered is not the committed one`,
      'use the files of this run',
    );
  };
  if (parts.adapter !== undefined && private_part.state === 'none') wrong('adapter');
  if (
    parts.adapter !== undefined &&
    private_part.state === 'committed' &&
    parts.adapter !== private_part.digest
  )
    wrong('adapter');
  if (parts.body !== undefined && parts.body !== vanilla.body) wrong('vanilla body');
}

function whyInexact(claim: Pick<Claim, 'draw' | 'private_part'>): string | undefined {
  if (claim.draw.source === 'hand-picked')
    return 'The trained keys were picked by hand or by a public seed, not drawn: no null distribution exists, so counts only.';
  if (claim.private_part === 'after-draw')
    return 'The private part was trained after the draw, so it may know the drawn keys by itself: counts only.';
  return undefined;
}

const reasonFor = ({ log10_p }: PValue, alpha: number, verified: boolean): string =>
  verified
    ? `A model made without access to the secret draw would match at least this well with probability at most 10^${log10_p.toFixed(2)}, below alpha ${alpha}.`
    : `The match is not rare enough: a model made without access to the secret draw reaches it with probability up to 10^${log10_p.toFixed(2)}, alpha is ${alpha}.`;

const DRAW_WORDS: Readonly<Record<Claim['draw']['source'], string>> = {
  'owner-seed':
    "Drawn from the owner's own seed: valid only for suspects made after a time-proved commitment, and nothing " +
    'against an owner who asked the suspect first; time_proof: none.',
  beacon:
    "Drawn from public randomness of a later round and the owner's seed; whether the recorded value is that " +
    "round's is not checked here: look it up in the beacon's chain. time_proof: none.",
  'hand-picked': 'Not drawn: picked by hand or from a public seed; time_proof: none.',
};

/** What a verdict may not be read as (claims.md B7). */
const DOES_NOT_SAY: readonly string[] = [
  'that the suspect was stolen',
  'how probable it is that the suspect is ours',
  'that the suspect is not derived, where the verdict is not-verified: rows can be reset, answers filtered',
  'by which way: derivation includes distillation and leaked keys or answers',
  'who came first: another claim with an earlier proved time goes before this one',
];

function wrapperNote(committed: string, asked: Asked): string[] {
  if (asked.wrapper === committed && asked.system === null) return [];
  return [
    `The keys were put under "${asked.wrapper}"${asked.system === null ? '' : ' with a system prompt'}, the plan names ` +
      `"${committed}": count every wrapper tried (multiplicity).`,
  ];
}
