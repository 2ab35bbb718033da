// Where no p-value may be given: everything that makes the answers must be committed, or be the suspect's own
// (docs/claims.md, section 4). Each rule gives its reason as a sentence.

import { WhorlError } from '../base/error.ts';
import { isPool } from '../claim/commitment.ts';
import type { Opened } from '../claim/open.ts';
import type { Bindings } from '../claim/plan.ts';

/** How the keys were put: a name of text/prompts/wrappers.ts, and the system text of `--system`. */
export interface Asked {
  readonly wrapper: string;
  readonly system: string | null;
  /** The texts around the keys, where the caller knows them. */
  readonly around?: readonly [prefix: string, suffix: string];
}

/** Digests of what a vanilla model is: all weights, tokenizer files, config files. */
export interface VanillaDigests {
  readonly weights: string;
  readonly tokenizer: string;
  readonly config: string;
}

/** The owner's own parts that stood in the machine that answered. */
export interface OwnerParts {
  readonly adapter?: string;
  readonly body?: VanillaDigests;
}

/** Evidence beside the claim that the caller checked (evidence.ts). */
export interface Evidence {
  /** A trusted time stamp of the claim, earlier than the round that it was drawn from. */
  readonly proofBeforeRound: boolean;
  /** The beacon's value is that of the committed round. */
  readonly beacon: boolean;
  /** Time stamps of the claim that were checked, each in words. */
  readonly stamps?: readonly string[];
}
export const NO_EVIDENCE: Evidence = { proofBeforeRound: false, beacon: false };

export interface Circumstances {
  readonly asked: Asked;
  readonly alpha: number;
  readonly ownerParts: OwnerParts;
  readonly evidence: Evidence;
  /** Which certificate under this claim this is, counted from 1. */
  readonly look: number;
  /** All keys of the claim; default: those of the plan. */
  readonly pool?: Opened['plan']['keys'];
  /** What the caller found beside the claim. */
  readonly doubts: readonly string[];
}

type Rule = (opened: Opened, circumstances: Circumstances) => string | undefined;

/** What holds whatever the evidence is made of. */
const DRAW_RULES: readonly Rule[] = [
  ({ claim }) =>
    claim.draw.source === 'hand-picked'
      ? 'The trained keys were picked by hand or by a public seed, not drawn: no null distribution exists.'
      : undefined,
  ({ claim }, { evidence }) =>
    claim.draw.source === 'beacon' && !evidence.beacon
      ? "Whether the recorded beacon value is that round's was not checked, so it may be any number that suited the owner."
      : undefined,
  ({ plan: { most_looks = Number.POSITIVE_INFINITY } }, { look }) =>
    look <= most_looks ? undefined : `This is look ${look} under a claim that pays for ${most_looks}.`,
  ({ claim }, { alpha }) =>
    alpha === claim.alpha
      ? undefined
      : `The level ${alpha} is not the committed one (${claim.alpha}): a level chosen after the answers decides nothing.`,
];
/** What makes the answers. */
const ANSWER_RULES: readonly Rule[] = [
  ({ claim }) =>
    claim.private_part === 'after-draw'
      ? 'The private part was trained after the draw, so it may know the drawn keys by itself.'
      : undefined,
  ({ claim, plan, bindings }, { pool = plan.keys }) =>
    claim.private_part === 'committed' && !isPool(pool, bindings.trainable_rows)
      ? "The committed rows are not the tokens of the whole pool: which rows are the suspect's and which the owner's may tell the draw."
      : undefined,
  ({ bindings: { vanilla } }, { ownerParts: { body } }) =>
    body && (vanilla.tokenizer === undefined || vanilla.config === undefined)
      ? "The claim binds neither tokenizer nor config of the owner's body (it was made by an older version), so both may know the draw."
      : undefined,
  ({ plan: { query } }, { asked: { system } }) =>
    system === null || query.systems?.includes(system)
      ? undefined
      : 'A system text was used that the claim does not commit to: it may hold the drawn answers.',
  ({ claim, plan: { query } }, { asked: { wrapper } }) =>
    claim.version === 1 || Object.hasOwn(query.wrappers!, wrapper)
      ? undefined
      : `The claim does not commit to wrapper "${wrapper}": its text may hold the drawn answers.`,
  ({ claim, plan: { query } }, { asked: { wrapper, around } }) => {
    const text = claim.version === 1 ? undefined : query.wrappers![wrapper];
    return text && around && (text[0] !== around[0] || text[1] !== around[1])
      ? `The texts around the keys are not those that the claim commits to for wrapper "${wrapper}".`
      : undefined;
  },
];

/** Every reason why no p-value may be given; none where the test is exact. */
export const whyInexact = (opened: Opened, circumstances: Circumstances): string[] => [
  ...[...DRAW_RULES, ...ANSWER_RULES].flatMap((rule) => rule(opened, circumstances) ?? []),
  ...circumstances.doubts,
];

/** The same of what is read from weights, where nobody is asked. */
export const whyUndrawn = (opened: Opened, circumstances: Circumstances): string[] => [
  ...DRAW_RULES.flatMap((rule) => rule(opened, circumstances) ?? []),
  ...circumstances.doubts,
];

/** @throws WhorlError `mismatch` where an owner's part is not the committed one; before anything is asked */
export function checkOwnerParts({ private_part, vanilla }: Bindings, { adapter, body }: OwnerParts): void {
  const wrong = (what: string): never => {
    throw new WhorlError(
      'mismatch',
      `${what} that answers is not the committed one`,
      'give the vanilla model of this run, byte for byte',
    );
  };
  if (adapter !== undefined && private_part.state !== 'after-draw')
    if (private_part.state === 'none' || adapter !== private_part.digest) wrong('the adapter');
  if (body === undefined) return;
  if (body.weights !== vanilla.weights) wrong("the body's weights (embedding and all)");
  if (vanilla.tokenizer !== undefined && body.tokenizer !== vanilla.tokenizer) wrong("the body's tokenizer");
  if (vanilla.config !== undefined && body.config !== vanilla.config) wrong("the body's config");
}
