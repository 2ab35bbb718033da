// The leaves of a claim in their order, by format version. Names and order are the format: a released version's never change.

import { createHmac } from 'node:crypto';
import type { Json } from './canonical.ts';
import { type Claim, type ClaimVersion, hasStamp } from './claim.ts';
import { CLAIM_KINDS } from './kinds.ts';
import type { Leaf } from './merkle.ts';
import type { Bindings, ClaimKind, ClaimPlan, SizeOf } from './plan.ts';

/** Everything public that exists before the root. */
export type Header = Omit<Claim, 'root' | 'time_proof'>;

/** Header, draw and plan come first in each version: that of the draw is the second, as `seed_commitment` says. */
interface Committed<K extends ClaimKind> {
  readonly header: Header;
  readonly plan: ClaimPlan<K>;
  readonly bindings: Bindings;
  /** `owner-seed`, or `picked`. */
  readonly drawLeaf: Leaf;
  /** 64 hex digits each; none of a hand-picked draw. */
  readonly seeds: readonly string[];
  /** Of the stamp's direction; null of a hand-picked draw, which has none. */
  readonly ofStamp: string | null;
}

export const LEAVES: {
  readonly [V in ClaimVersion]: <K extends ClaimKind>(committed: Committed<K>) => Leaf[];
} = {
  1: ({ header, plan, bindings, drawLeaf }) => {
    const { kind, matcher, decoding, query, alpha } = plan;
    return [
      ['header', header as unknown as Json],
      drawLeaf,
      ['plan', { kind, matcher, decoding, query, alpha }],
      ['rows', bindings.trainable_rows],
      ['private-part', bindings.private_part],
      ['vanilla', bindings.vanilla],
      ...keyLeaves(plan),
    ];
  },
  2: ({ header, plan, bindings, drawLeaf, seeds, ofStamp }) => {
    const { kind, matcher, matcher_text, decoding, query, alpha, most_looks } = plan;
    const { wrappers, systems, ...asked } = query;
    const { vanilla } = bindings;
    return [
      ['header', header as unknown as Json],
      drawLeaf,
      ['plan', { kind, matcher, matcher_text, decoding, query: asked, alpha, most_looks }],
      ['wrappers', wrappers ?? null],
      ['systems', systems ?? null],
      ['rows', bindings.trainable_rows],
      ['private-part', bindings.private_part],
      ...VANILLA_LEAVES.map((name): Leaf => [`vanilla/${name}`, vanilla[name] ?? null]),
      ...keyLeaves(plan),
      ...seeds.map((seed, i): Leaf => [`seed/keys/${i}`, seed]),
      ...(plan.stamp ? [['stamp', plan.stamp] as const, ['seed/stamp', ofStamp] as const] : []),
    ];
  },
};

/** Each a leaf of its own, so that a certificate opens what it needs; salted, so that a claim does not tell of which model it is. */
export const VANILLA_LEAVES = [
  'weights',
  'body',
  'embedding',
  'tokenizer',
  'config',
  'special_tokens',
] as const satisfies readonly (keyof Bindings['vanilla'])[];

/** Where in format 2 which leaf stands. */
export const PLACE = {
  header: 0,
  plan: 2,
  wrappers: 3,
  systems: 4,
  rows: 5,
  privatePart: 6,
  vanilla: 7,
} as const;
const FIRST_KEY = PLACE.vanilla + VANILLA_LEAVES.length;

/** The last two of a claim with a stamp: its plan, and the seed that draws for it. */
export const placesOfStamp = ({
  leaves,
}: {
  readonly leaves: number;
}): readonly [plan: number, seed: number] => [leaves - 2, leaves - 1];

/** How many lists of answers a claim of so many keys has, by the number of its leaves. */
export const listsOf = <K extends ClaimKind>(kind: K, claim: Claim<K>, keys: number): number =>
  claim.leaves -
  FIRST_KEY -
  keys -
  CLAIM_KINDS[kind].seeds(claim) -
  (hasStamp(claim as unknown as Claim) ? 2 : 0);

/** Places of the leaves of key i, of the list that its answers are looked up in, and of the seed that drew for it. */
export function placesOfKey<K extends ClaimKind>(
  kind: K,
  size: SizeOf[K],
  keys: number,
  lists: number,
  i: number,
): { readonly key: number; readonly list: number; readonly seed: number } {
  const seeds = CLAIM_KINDS[kind].seeds(size);
  return {
    key: FIRST_KEY + i,
    list: FIRST_KEY + keys + (lists === 1 ? 0 : i),
    seed: FIRST_KEY + keys + lists + (seeds === 1 ? 0 : i),
  };
}

function keyLeaves<K extends ClaimKind>(plan: ClaimPlan<K>): Leaf[] {
  return [...plan.keys.map((key, i): Leaf => [`key/${i}`, key]), ...CLAIM_KINDS[plan.kind as K].leaves(plan)];
}

/** What draws for one slot alone: opening one tells nothing of the others, nor of the owner's seed. From format 2. */
export const channelSeeds = (ownerSeed: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) =>
    createHmac('sha256', Buffer.from(ownerSeed, 'hex')).update(`whorl-seed-v2/keys/${i}`).digest('hex'),
  );
