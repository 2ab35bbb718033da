// How a commitment is made, and how it is recomputed from what it should bind. The root comes before any draw.

import { randomBytes } from 'node:crypto';
import { WhorlError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import { canonicalJson, type Json } from './canonical.ts';
import {
  CLAIM_FORMAT,
  type Claim,
  type ClaimCommon,
  type ClaimVersion,
  claimFromValue,
  type Software,
} from './claim.ts';
import { CLAIM_KINDS } from './kinds.ts';
import { channelSeeds, type Header, LEAVES, VANILLA_LEAVES } from './leaves.ts';
import { MATCHERS } from './matcher.ts';
import { type Leaf, leafHash, merkleRoot, SALT_BYTES } from './merkle.ts';
import {
  type Bindings,
  bindingsSchema,
  type ClaimKind,
  type ClaimPlan,
  type DrawOf,
  planSchema,
} from './plan.ts';
import type { SeedKdf } from './seed-kdf.ts';
import { checkShape } from './shape-error.ts';
import { stampSeed } from './stamp.ts';

/** What opens a claim, beside the plan and the bindings. */
export interface Opening {
  /** One salt a leaf, hex, in the order of `LEAVES`. */
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
  /** Format; 1 is what older versions wrote. */
  version?: ClaimVersion;
}

const seedLeaf = (seed: string): Leaf => ['owner-seed', seed];
const fromHex = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const refuse = (message: string, fix: string): never => {
  throw new WhorlError('usage', message, fix);
};

function checkPlan<K extends ClaimKind>(plan: ClaimPlan<K>, bindings: Bindings): void {
  checkShape(planSchema, plan, 'the plan of the claim', 'usage');
  checkShape(bindingsSchema, bindings, 'the bindings of the claim', 'usage');
  CLAIM_KINDS[plan.kind as K].check(plan);
  if (new Set(plan.keys.map((key) => key.text)).size !== plan.keys.length)
    refuse('two keys of the claim have one text', 'make every key different');
  const rows = bindings.trainable_rows;
  if (rows.some((row, i) => i > 0 && row <= rows[i - 1]!))
    refuse('the rows of the claim are not ascending', 'sort them and drop repeats');
}

/** What a version demands beyond the others; a leaf whose value is left open would bind nothing. */
const DEMANDS: { readonly [V in ClaimVersion]: (plan: ClaimPlan, bindings: Bindings) => void } = {
  1: ({ stamp }) => {
    if (stamp) refuse('format 1 has no stamp', 'commit in format 2');
  },
  2: (plan, { trainable_rows, vanilla }) => {
    const { matcher_text, most_looks, query } = plan;
    if (most_looks === undefined || query.systems === undefined || query.wrappers === undefined)
      refuse('the plan of the claim leaves wrappers, system prompts or looks open', 'name them');
    if (!Object.hasOwn(query.wrappers!, query.wrapper))
      refuse(
        `the text of wrapper "${query.wrapper}" is not in the plan`,
        'commit to what is put around a key',
      );
    if (matcher_text !== MATCHERS[plan.matcher].words)
      refuse(`matcher ${plan.matcher} is committed in other words than ours`, 'take those of MATCHERS');
    for (const name of VANILLA_LEAVES)
      if (vanilla[name] === undefined)
        refuse(`the digest ${name} of the vanilla model is missing`, 'give it');
    if (trainable_rows.length > 0 && !isPool(plan.keys, trainable_rows))
      refuse(
        'the rows of the claim are not the tokens of the whole pool',
        'a part of them may tell the draw',
      );
  },
};

/** Whether the rows (ascending) are the tokens of all keys: then which they are tells nothing of the draw. */
export function isPool(keys: readonly { tokens: readonly number[] }[], rows: readonly number[]): boolean {
  const pool = new Set(keys.flatMap(({ tokens }) => tokens));
  return pool.size === rows.length && rows.every((row) => pool.has(row));
}

/** Public fields that a version has and others have not. */
const PUBLIC = {
  1: (_: ClaimPlan, { vanilla }: Bindings) => ({ vanilla }),
  2: ({ most_looks, keys, stamp }: ClaimPlan) => ({
    most_looks,
    channels: [...(keys.length > 0 ? ['keys'] : []), ...(stamp ? ['stamp'] : [])],
  }),
} as const satisfies { readonly [V in ClaimVersion]: unknown };
const PUBLIC_WORDS: Readonly<Record<string, string>> = {
  vanilla: 'the digest of the vanilla model',
  most_looks: 'the number of looks',
  channels: 'the list of channels',
};
/** Public fields that are not under the root. */
const BESIDE_ROOT = { 1: { time_proof: 'none' }, 2: {} } as const;

/** The seed of each channel, out of the owner's. */
const seedsOf = <K extends ClaimKind>(plan: ClaimPlan<K>, ownerSeed: string | null) => {
  const rules = CLAIM_KINDS[plan.kind as K];
  return ownerSeed === null
    ? { seeds: [], ofStamp: null }
    : { seeds: channelSeeds(ownerSeed, rules.seeds(rules.size(plan))), ofStamp: stampSeed(ownerSeed) };
};

/**
 * Commits to a plan, before anything is drawn or trained. Write the claim out at once; then `makeDraw`.
 * Throws WhorlError 'usage' where the plan does not hold together.
 */
export function commitClaim<K extends ClaimKind>(
  plan: ClaimPlan<K>,
  options: CommitOptions<K>,
): { claim: Claim<K>; opening: Secret<Opening> } {
  const { bindings, draw, random = randomBytes, version = 2 } = options;
  checkPlan(plan, bindings);
  DEMANDS[version](plan as unknown as ClaimPlan, bindings);
  const rules = CLAIM_KINDS[plan.kind as K];
  if (draw.source === 'hand-picked') rules.checkDraw(rules.size(plan), draw.picked);
  if (draw.source === 'hand-picked' && plan.stamp)
    refuse('a stamp is drawn, never picked', 'commit with a seed or a beacon');
  const ownerSeed = draw.source === 'hand-picked' ? null : toHex(random(SALT_BYTES));
  const drawLeaf: Leaf = draw.source === 'hand-picked' ? ['picked', draw.picked] : seedLeaf(ownerSeed!);
  const parts = { plan, bindings, drawLeaf, ...seedsOf(plan, ownerSeed) };
  const count = LEAVES[version]({ ...parts, header: {} as Header }).length;
  const salts = Array.from({ length: count }, () => toHex(random(SALT_BYTES)));
  const header = {
    format: CLAIM_FORMAT,
    version,
    kind: plan.kind,
    ...rules.size(plan),
    leaves: count,
    alpha: plan.alpha,
    ...PUBLIC[version](plan as unknown as ClaimPlan, bindings),
    draw: publicDraw(draw, ownerSeed, salts[1]!),
    private_part: bindings.private_part.state,
    created: options.created.toISOString(),
    software: options.software,
  };
  const root = rootOf(LEAVES[version]({ ...parts, header: header as unknown as Header }), salts);
  const claim = claimFromValue({ ...header, root, ...BESIDE_ROOT[version] });
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

const hashesOf = (leaves: readonly Leaf[], salts: readonly string[]): Uint8Array[] =>
  leaves.map((leaf, i) => leafHash(leaf, fromHex(salts[i]!)));
const rootOf = (leaves: readonly Leaf[], salts: readonly string[]): string =>
  toHex(merkleRoot(hashesOf(leaves, salts)));

/** Claim.json as its header leaf has it. */
export function headerOf(claim: Claim): Header {
  const { root: _root, time_proof: _proof, ...header } = claim as Claim & { time_proof?: string };
  return header;
}

/** All leaves of a claim with their hashes, for who opens some of them. Check the commitment first. */
export function leavesOf<K extends ClaimKind>(
  claim: Claim<K>,
  plan: ClaimPlan<K>,
  bindings: Bindings,
  opening: Opening,
  recordedDraw: DrawOf[K],
): { readonly leaves: Leaf[]; readonly hashes: Uint8Array[] } {
  const { owner_seed, salts } = opening;
  const drawLeaf: Leaf = owner_seed === null ? ['picked', recordedDraw] : seedLeaf(owner_seed);
  const header = headerOf(claim as unknown as Claim);
  const leaves = LEAVES[claim.version]({
    header,
    plan,
    bindings,
    drawLeaf,
    ...seedsOf(plan, owner_seed),
  });
  return { leaves, hashes: leaves.length === salts.length ? hashesOf(leaves, salts) : [] };
}

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
  file = 'claim.json',
): void {
  const differs = (what: string): never => {
    throw new WhorlError(
      'mismatch',
      `${what} is not what ${file} commits to`,
      'use the secret and claim of one run',
    );
  };
  if (claim.kind !== plan.kind) differs('the kind of claim');
  try {
    checkPlan(plan, bindings);
    DEMANDS[claim.version](plan as unknown as ClaimPlan, bindings);
  } catch (cause) {
    throw new WhorlError(
      'mismatch',
      'the plan in the secret does not hold together, so it is not the committed one',
      'use the secret and claim of one run',
      { cause },
    );
  }
  const picked = claim.draw.source === 'hand-picked';
  if (picked !== (opening.owner_seed === null)) differs('the source of the draw');
  const rules = CLAIM_KINDS[plan.kind as K];
  const size = rules.size(plan) as Record<string, number>;
  for (const [name, value] of Object.entries(size))
    if ((claim as unknown as Record<string, unknown>)[name] !== value) differs(`the number ${name}`);
  if (claim.alpha !== plan.alpha) differs('alpha');
  if (claim.private_part !== bindings.private_part.state) differs('the private part');
  const open = PUBLIC[claim.version](plan as unknown as ClaimPlan, bindings);
  for (const [name, value] of Object.entries(open))
    if (
      canonicalJson((claim as unknown as Record<string, Json>)[name] ?? null) !== canonicalJson(value as Json)
    )
      differs(PUBLIC_WORDS[name]!);
  const { leaves, hashes } = leavesOf(claim, plan, bindings, opening, recordedDraw);
  if (leaves.length !== claim.leaves || hashes.length !== claim.leaves) differs('the number of leaves');
  if (claim.draw.source !== 'hand-picked' && toHex(hashes[1]!) !== claim.draw.seed_commitment)
    differs("the owner's seed");
  if (toHex(merkleRoot(hashes)) !== claim.root) differs('what the secret holds');
}
