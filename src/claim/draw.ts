// The draw: a pseudo-random choice from the owner's seed and the commitment's root, so that it cannot come
// before the commitment. Each integer is HMAC-SHA256(seed, label || root || randomness || slot || try), by rejection.

import { createHmac } from 'node:crypto';
import { WhorlError } from '../base/error.ts';
import type { Claim, ClaimVersion } from './claim.ts';
import { CLAIM_KINDS, type Uniform } from './kinds.ts';
import { channelSeeds } from './leaves.ts';
import type { ClaimKind, DrawOf, SizeOf } from './plan.ts';

const LABELS = { 1: 'whorl-draw-v1', 2: 'whorl-draw-v2/keys' } as const satisfies Record<
  ClaimVersion,
  string
>;
/** Of what breaks ties between equal scores (verify/exact/t6.ts). */
const COIN_LABEL = 'whorl-coin-v1/ranks';
const RANGE = 2 ** 48; // six bytes of each HMAC

declare const drawn: unique symbol;
/** What was drawn; made from a Claim only. */
export type Draw<K extends ClaimKind = ClaimKind> = { [P in K]: DrawOf[P] & { readonly [drawn]: true } }[K];

/**
 * Draws from a commitment. `ownerSeed` is 64 hex digits; `randomness` the beacon's value of the committed round,
 * 64 hex digits, null for an owner-seed draw. Throws WhorlError 'usage' where source and randomness disagree.
 */
export function makeDraw<K extends ClaimKind>(
  claim: Claim<K> & { kind: K },
  ownerSeed: string,
  randomness: string | null = null,
): Draw<K> {
  const { source } = claim.draw;
  if (source === 'hand-picked')
    throw new WhorlError('usage', 'a hand-picked claim is not drawn', 'use the draw that it commits to');
  if ((source === 'beacon') !== (randomness !== null))
    throw new WhorlError(
      'usage',
      `a draw by ${source} ${randomness ? 'takes no' : 'needs the'} beacon value`,
    );
  const rules = CLAIM_KINDS[claim.kind as K];
  const size = claim as SizeOf[K];
  return rules.draw(
    size,
    SLOTS[claim.version](claim.root, randomness ?? '', ownerSeed, rules.seeds(size)),
  ) as Draw<K>;
}

/** Format 1 draws every slot by the owner's seed, format 2 by the slot's own or the only one. */
const SLOTS: {
  readonly [V in ClaimVersion]: (root: string, randomness: string, seed: string, seeds: number) => Uniform;
} = {
  1: (root, randomness, seed) => seededUniform(seed, root, randomness),
  2: (root, randomness, seed, seeds) => slotUniform(channelSeeds(seed, seeds), root, randomness),
};

/** Format 2's, from the seeds themselves: one a slot, or one for all. */
export const slotUniform =
  (seeds: readonly string[], root: string, randomness: string): Uniform =>
  (slot, below) =>
    seededUniform(seeds[seeds.length === 1 ? 0 : slot]!, root, randomness, 2)(slot, below);

/**
 * Breaks ties between equal scores: as committed as the draw, out of the same seeds under another label, so that whoever was shown
 * a draw can repeat it.
 * @param seeds of the keys that were asked, in order, or the only one
 */
export const rankCoin =
  (seeds: readonly string[], root: string, randomness: string): ((key: number) => Uniform) =>
  (key) =>
    labelledUniform(COIN_LABEL, seeds[seeds.length === 1 ? 0 : key]!, root, randomness);

/** The seeds that drew for keys from..to-1: one each, or the only one. */
export function seedsOf(
  { kind, ...size }: Claim,
  ownerSeed: string,
  { from, to }: { readonly from: number; readonly to: number },
): string[] {
  const count = CLAIM_KINDS[kind].seeds(size as never);
  const seeds = channelSeeds(ownerSeed, count);
  return count === 1 ? seeds : seeds.slice(from, to);
}

/** The draw that a hand-picked claim commits to: recorded, never exact (docs/claims.md, section 6). */
export function pickedDraw<K extends ClaimKind>(claim: Claim<K> & { kind: K }, picked: DrawOf[K]): Draw<K> {
  if (claim.draw.source !== 'hand-picked')
    throw new WhorlError('usage', `a claim by ${claim.draw.source} is drawn, not picked`);
  CLAIM_KINDS[claim.kind as K].checkDraw(claim as SizeOf[K], picked);
  return picked as Draw<K>;
}

/** Uniform integers below `below` (at most 2^47), a stream a slot; the same hex inputs give the same integers. */
export const seededUniform = (
  seed: string,
  root: string,
  randomness: string,
  version: ClaimVersion = 1,
): Uniform => labelledUniform(LABELS[version], seed, root, randomness);

function labelledUniform(label: string, seed: string, root: string, randomness: string): Uniform {
  const key = Buffer.from(seed, 'hex');
  const prefix = Buffer.concat([
    Buffer.from(label),
    Buffer.from(root, 'hex'),
    Buffer.from(randomness, 'hex'),
  ]);
  return (slot, below) => {
    const limit = RANGE - (RANGE % below);
    for (let attempt = 0; ; attempt++) {
      const counters = Buffer.alloc(8);
      counters.writeUInt32BE(slot, 0);
      counters.writeUInt32BE(attempt, 4);
      const value = createHmac('sha256', key).update(prefix).update(counters).digest().readUIntBE(0, 6);
      if (value < limit) return value % below;
    }
  };
}
