// claim.json: what it says, and how it is read. Made by commitment.ts; only a Claim can be drawn from (draw.ts).
// It names no key, candidate, row or model; its root binds them all (leaves.ts, merkle.ts). Format 1 named the model.

import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { bindingsSchema, type ClaimKind, hex256, index, type SizeOf } from './plan.ts';
import { seedKdfSchema } from './seed-kdf.ts';
import { checkShape } from './shape-error.ts';

export const CLAIM_FORMAT = 'whorl-claim';

export const softwareSchema = z.strictObject({ name: z.string().max(128), version: z.string().max(128) });
export type Software = z.infer<typeof softwareSchema>;

/** Whose dice (docs/claims.md, section 6). The seed itself stays in the secret; here stands the hash of its salted leaf. */
const drawSource = z.discriminatedUnion('source', [
  z.strictObject({
    source: z.literal('owner-seed'),
    seed_commitment: hex256,
    /** The seed came from a text (`--seed`) by this slow function; whoever guesses the text knows keys and draw. */
    from_text: seedKdfSchema.optional(),
  }),
  z.strictObject({ source: z.literal('beacon'), seed_commitment: hex256, chain: hex256, round: index }),
  z.strictObject({ source: z.literal('hand-picked') }),
]);

const common = {
  format: z.literal(CLAIM_FORMAT),
  /** Merkle root over `leaves` salted leaves. */
  root: hex256,
  leaves: z.int().min(1),
  alpha: z.number().gt(0).lt(1),
  draw: drawSource,
  private_part: z.enum(['none', 'committed', 'after-draw']),
  created: z.iso.datetime(),
  software: softwareSchema,
};
const of1 = {
  ...common,
  version: z.literal(1),
  vanilla: bindingsSchema.shape.vanilla,
  /** Format 1 knows no evidence that the root existed at some time; since format 2 it lies beside the claim (proof.ts). */
  time_proof: z.literal('none'),
};
const of2 = {
  ...common,
  version: z.literal(2),
  most_looks: z.int().min(1).max(1_000_000),
};
/** Parts that are drawn for by themselves; `lists` are those that a kind may have. */
const channels = (...lists: readonly string[]) =>
  z
    .array(z.enum(['keys', 'stamp']))
    .refine((names) => lists.includes(names.join(', ')), `must be ${lists.join(', or ')}`);
const withKeys = { ...of2, channels: channels('keys', 'keys, stamp') };
const withoutKeys = { ...of2, channels: channels('stamp') };
const answersSize = { kind: z.literal('drawn-answers'), n: index, m: index };
const membershipSize = { kind: z.literal('drawn-membership'), n: index, pool: index, negatives: index };

const BY_VERSION = {
  1: z.discriminatedUnion('kind', [
    z.strictObject({ ...of1, ...answersSize }),
    z.strictObject({ ...of1, ...membershipSize }),
  ]),
  2: z.discriminatedUnion('kind', [
    z.strictObject({ ...withKeys, ...answersSize }),
    z.strictObject({ ...withKeys, ...membershipSize }),
    z.strictObject({ ...withoutKeys, kind: z.literal('drawn-direction') }),
  ]),
} as const;
export const claimSchema = z.discriminatedUnion('version', [BY_VERSION[1], BY_VERSION[2]]);
export type ClaimVersion = keyof typeof BY_VERSION;
const isVersion = (version: unknown): version is ClaimVersion => version === 1 || version === 2;

type Common2 = z.infer<z.ZodObject<typeof withKeys>>;
export type ClaimCommon = z.infer<z.ZodObject<typeof of1>> | Common2;
interface CommonOf {
  'drawn-answers': ClaimCommon;
  'drawn-membership': ClaimCommon;
  'drawn-direction': Common2;
}

declare const committed: unique symbol;
/** The public commitment. Only `commitClaim` and `parseClaim` make one. */
export type Claim<K extends ClaimKind = ClaimKind> = {
  [P in K]: CommonOf[P] & { kind: P } & SizeOf[P] & { readonly [committed]: true };
}[K];

/** Reads claim.json. Throws WhorlError 'bad-file', or 'unsupported' for a version that this Whorl does not know. */
export function parseClaim(text: string, file = 'claim.json'): Claim {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WhorlError('bad-file', `${file} is not JSON`, 'take the file as Whorl wrote it', { cause });
  }
  return claimFromValue(value, file);
}

/** The same from a parsed value. */
export function claimFromValue(value: unknown, file = 'claim.json'): Claim {
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && Number.isInteger(version) && !isVersion(version))
    throw new WhorlError(
      'unsupported',
      `${file} is a claim of version ${version}, this Whorl reads 1 and 2`,
      'update Whorl',
    );
  const schema: z.ZodType<z.infer<typeof claimSchema>> = BY_VERSION[isVersion(version) ? version : 2];
  return checkShape(schema, value, file, 'bad-file') as Claim;
}

/** Whether a claim has a second channel, in weights; no claim of format 1 has. */
export const hasStamp = (claim: Claim): boolean => claim.version === 2 && claim.channels.includes('stamp');

/** The text of claim.json. */
export const claimText = (claim: Claim): string => `${JSON.stringify(claim, null, 2)}\n`;
