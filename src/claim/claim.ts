// claim.json and how it comes to be: the commitment is made first, and only a Claim can be drawn from (draw.ts).
// It names no key, candidate or row; its root binds them all (leaves: claimLeaves, tree: merkle.ts).

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import { canonicalJson, type Json } from './canonical.ts';
import { CLAIM_KINDS } from './kinds.ts';
import { type Leaf, leafHash, merkleRoot, SALT_BYTES } from './merkle.ts';
import {
  type Bindings,
  bindingsSchema,
  type ClaimKind,
  type ClaimPlan,
  type DrawOf,
  hex256,
  index,
  planSchema,
  type SizeOf,
} from './plan.ts';
import { type SeedKdf, seedKdfSchema } from './seed-kdf.ts';
import { checkShape } from './shape-error.ts';
import { stampSeed } from './stamp.ts';

const CLAIM_FORMAT = 'whorl-claim';

export const softwareSchema = z.strictObject({ name: z.string().max(128), version: z.string().max(128) });
type Software = z.infer<typeof softwareSchema>;

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
  version: z.literal(1),
  /** Merkle root over `leaves` salted leaves. */
  root: hex256,
  leaves: z.int().min(1),
  alpha: z.number().gt(0).lt(1),
  draw: drawSource,
  private_part: z.enum(['none', 'committed', 'after-draw']),
  /** Parts that are drawn for by themselves; absent: `keys` alone. */
  channels: z
    .array(z.enum(['keys', 'stamp']))
    .min(1)
    .optional(),
  vanilla: bindingsSchema.shape.vanilla,
  created: z.iso.datetime(),
  software: softwareSchema,
  /** Evidence that the root existed at some time; version 1 knows none. */
  time_proof: z.literal('none'),
};
export const claimSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('drawn-answers'), n: index, m: index }),
  z.strictObject({ ...common, kind: z.literal('drawn-membership'), n: index, pool: index, negatives: index }),
  z.strictObject({ ...common, kind: z.literal('drawn-direction') }),
]);
type ClaimCommon = z.infer<z.ZodObject<typeof common>>;

declare const committed: unique symbol;
/** The public commitment. Only `commitClaim` and `parseClaim` make one. */
export type Claim<K extends ClaimKind = ClaimKind> = {
  [P in K]: ClaimCommon & { kind: P } & SizeOf[P] & { readonly [committed]: true };
}[K];

/** What opens a claim, beside the plan and the bindings. */
export interface Opening {
  /** One salt a leaf, hex, in the order of claimLeaves. */
  salts: string[];
  /** 256 random bits, hex; null for a hand-picked draw. */
  owner_seed: string | null;
}

type DrawChoice<K extends ClaimKind> =
  | { source: 'owner-seed'; from_text?: SeedKdf }
  | { source: 'beacon'; chain: string; round: number }
  | { source: 'hand-picked'; picked: DrawOf[K] };

export interface CommitOptions<K extends ClaimKind> {
  bindings: Bindings;
  draw: DrawChoice<K>;
  software: Software;
  created: Date;
  /** Cryptographic random bytes; the platform's by default. */
  random?: (bytes: number) => Uint8Array;
}

type Header = Omit<ClaimCommon, 'root' | 'time_proof'> & { kind: ClaimKind };

/** The leaves of a claim in their order. The header is everything public that exists before the root. */
function claimLeaves<K extends ClaimKind>(
  header: Header,
  plan: ClaimPlan<K>,
  bindings: Bindings,
  drawLeaf: Leaf,
  ownerSeed: string | null,
): Leaf[] {
  const { matcher, decoding, query, alpha } = plan;
  return [
    ['header', header as unknown as Json],
    drawLeaf,
    ['plan', { kind: plan.kind, matcher, decoding, query, alpha }],
    ['rows', bindings.trainable_rows],
    ['private-part', bindings.private_part],
    ['vanilla', bindings.vanilla],
    ...plan.keys.map((key, i): Leaf => [`key/${i}`, key]),
    ...CLAIM_KINDS[plan.kind as K].leaves(plan),
    ...stampLeaves(plan, ownerSeed),
  ];
}

const stampLeaves = ({ stamp }: ClaimPlan, ownerSeed: string | null): Leaf[] =>
  stamp
    ? [
        ['stamp', stamp],
        ['seed/stamp', ownerSeed === null ? null : stampSeed(ownerSeed)],
      ]
    : [];

/** What the header says of channels: nothing where the keys are the only one, as in older claims. */
const channelsOf = ({ keys, stamp }: ClaimPlan): Pick<ClaimCommon, 'channels'> =>
  stamp ? { channels: keys.length > 0 ? ['keys', 'stamp'] : ['stamp'] } : {};

const seedLeaf = (seed: string): Leaf => ['owner-seed', seed];
const fromHex = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function checkPlan<K extends ClaimKind>(plan: ClaimPlan<K>, bindings: Bindings): void {
  checkShape(planSchema, plan, 'the plan of the claim', 'usage');
  checkShape(bindingsSchema, bindings, 'the bindings of the claim', 'usage');
  CLAIM_KINDS[plan.kind as K].check(plan);
  if (new Set(plan.keys.map((key) => key.text)).size !== plan.keys.length)
    throw new WhorlError('usage', 'two keys of the claim have one text', 'make every key different');
  const rows = bindings.trainable_rows;
  if (rows.some((row, i) => i > 0 && row <= rows[i - 1]!))
    throw new WhorlError('usage', 'the rows of the claim are not ascending', 'sort them and drop repeats');
}

/**
 * Commits to a plan, before anything is drawn or trained. Write the claim out at once; then `makeDraw`.
 * Throws WhorlError 'usage' where the plan does not hold together.
 */
export function commitClaim<K extends ClaimKind>(
  plan: ClaimPlan<K>,
  options: CommitOptions<K>,
): { claim: Claim<K>; opening: Secret<Opening> } {
  const { bindings, draw, random = randomBytes } = options;
  checkPlan(plan, bindings);
  const rules = CLAIM_KINDS[plan.kind as K];
  if (draw.source === 'hand-picked') rules.checkDraw(rules.size(plan), draw.picked);
  if (draw.source === 'hand-picked' && plan.stamp)
    throw new WhorlError('usage', 'a stamp is drawn, never picked', 'commit with a seed or a beacon');
  const ownerSeed = draw.source === 'hand-picked' ? null : toHex(random(SALT_BYTES));
  const count =
    6 + plan.keys.length + rules.leaves(plan).length + stampLeaves(plan as ClaimPlan, ownerSeed).length;
  const salts = Array.from({ length: count }, () => toHex(random(SALT_BYTES)));
  const header = {
    format: CLAIM_FORMAT,
    version: 1,
    kind: plan.kind,
    ...rules.size(plan),
    leaves: count,
    alpha: plan.alpha,
    draw: publicDraw(draw, ownerSeed, salts[1]!),
    private_part: bindings.private_part.state,
    ...channelsOf(plan as ClaimPlan),
    vanilla: bindings.vanilla,
    created: options.created.toISOString(),
    software: options.software,
  } as const;
  const drawLeaf: Leaf = draw.source === 'hand-picked' ? ['picked', draw.picked] : seedLeaf(ownerSeed!);
  const root = rootOf(claimLeaves(header, plan, bindings, drawLeaf, ownerSeed), salts);
  const claim = parseClaim(JSON.stringify({ ...header, root, time_proof: 'none' }));
  return { claim: claim as unknown as Claim<K>, opening: new Secret({ salts, owner_seed: ownerSeed }) };
}

function publicDraw<K extends ClaimKind>(
  draw: DrawChoice<K>,
  seed: string | null,
  salt: string,
): ClaimCommon['draw'] {
  if (draw.source === 'hand-picked') return { source: 'hand-picked' };
  const seed_commitment = toHex(leafHash(seedLeaf(seed!), fromHex(salt)));
  if (draw.source === 'owner-seed')
    return {
      source: 'owner-seed',
      seed_commitment,
      ...(draw.from_text && { from_text: draw.from_text }),
    };
  return { source: 'beacon', seed_commitment, chain: draw.chain, round: draw.round };
}

const rootOf = (leaves: readonly Leaf[], salts: readonly string[]): string =>
  toHex(merkleRoot(leaves.map((leaf, i) => leafHash(leaf, fromHex(salts[i]!)))));

/**
 * Recomputes the commitment from what it should bind. Throws WhorlError 'mismatch' naming the first thing that
 * is not as committed (the root alone where only a salt, key or candidate differs).
 */
export function checkCommitment<K extends ClaimKind>(
  claim: Claim<K>,
  plan: ClaimPlan<K>,
  bindings: Bindings,
  opening: Opening,
  recordedDraw: DrawOf[K],
): void {
  const differs = (what: string): never => {
    throw new WhorlError(
      'mismatch',
      `${what} is not what claim.json commits to`,
      'use the secret and claim of one run',
    );
  };
  if (claim.kind !== plan.kind) differs('the kind of claim');
  try {
    checkPlan(plan, bindings);
  } catch (cause) {
    throw new WhorlError('mismatch', 'the plan in the secret does not hold together', undefined, { cause });
  }
  const picked = claim.draw.source === 'hand-picked';
  if (picked !== (opening.owner_seed === null)) differs('the source of the draw');
  const drawLeaf: Leaf = picked ? ['picked', recordedDraw] : seedLeaf(opening.owner_seed!);
  const { root, time_proof: _, ...header } = claim;
  const rules = CLAIM_KINDS[plan.kind as K];
  const size = rules.size(plan) as Record<string, number>;
  for (const [name, value] of Object.entries(size))
    if ((claim as unknown as Record<string, unknown>)[name] !== value) differs(`the number ${name}`);
  if (claim.alpha !== plan.alpha) differs('alpha');
  if (claim.private_part !== bindings.private_part.state) differs('the private part');
  if (canonicalJson(claim.vanilla) !== canonicalJson(bindings.vanilla))
    differs('the digest of the vanilla model');
  if (canonicalJson(claim.channels ?? null) !== canonicalJson(channelsOf(plan as ClaimPlan).channels ?? null))
    differs('the list of channels');
  const leaves = claimLeaves(header, plan, bindings, drawLeaf, opening.owner_seed);
  if (leaves.length !== claim.leaves || leaves.length !== opening.salts.length)
    differs('the number of leaves');
  if (
    claim.draw.source !== 'hand-picked' &&
    toHex(leafHash(drawLeaf, fromHex(opening.salts[1]!))) !== claim.draw.seed_commitment
  )
    differs("the owner's seed");
  if (rootOf(leaves, opening.salts) !== root) differs('what the secret holds');
}

/** Reads claim.json. Throws WhorlError 'bad-file' naming the field that is wrong, 'unsupported' for a later version. */
export function parseClaim(text: string, file = 'claim.json'): Claim {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WhorlError('bad-file', `${file} is not JSON`, 'take the file as Whorl wrote it', { cause });
  }
  return claimFromValue(value, file);
}

export function claimFromValue(value: unknown, file: string): Claim {
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && Number.isInteger(version) && version !== 1)
    throw new WhorlError(
      'unsupported',
      `${file} is a claim of version ${version}, this Whorl reads 1`,
      'update Whorl',
    );
  return checkShape(claimSchema, value, file, 'bad-file') as Claim;
}

/** The text of claim.json. */
export const claimText = (claim: Claim): string => `${JSON.stringify(claim, null, 2)}\n`;
