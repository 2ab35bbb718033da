// Where no p-value may be given: everything that makes the answers must be committed, or be the suspect's own
// (docs/claims.md, section 4). Each rule gives its reason as a sentence.

import { WhorlError } from '../base/error.ts';
import type { Opened } from '../claim/open.ts';
import type { Bindings } from '../claim/plan.ts';

/** How the keys were put: a name of text/prompts/wrappers.ts, and the system text of `--system`. */
export interface Asked {
  readonly wrapper: string;
  readonly system: string | null;
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

export interface Circumstances {
  readonly asked: Asked;
  readonly alpha: number;
  readonly ownerParts: OwnerParts;
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
  ({ claim }) =>
    claim.draw.source === 'beacon'
      ? "Whether the recorded beacon value is that round's was not checked, so it may be any number that suited the owner."
      : undefined,
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
  ({ claim, plan, bindings }) =>
    claim.private_part === 'committed' && !isPool(plan.keys, bindings.trainable_rows)
      ? "The committed rows are not the tokens of the whole pool: which rows are the suspect's and which the owner's may tell the draw."
      : undefined,
  ({ bindings: { vanilla } }, { ownerParts: { body } }) =>
    body && (vanilla.tokenizer === undefined || vanilla.config === undefined)
      ? "The claim binds neither tokenizer nor config of the owner's body (it was made by an older version), so both may know the draw."
      : undefined,
  (_, { asked: { system } }) =>
    system === null
      ? undefined
      : 'A system text was used that the claim does not commit to: it may hold the drawn answers.',
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

/** Rows are ascending (`openClaim`). */
function isPool(keys: readonly { tokens: readonly number[] }[], rows: readonly number[]): boolean {
  const pool = new Set(keys.flatMap(({ tokens }) => tokens));
  return pool.size === rows.length && rows.every((row) => pool.has(row));
}

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
