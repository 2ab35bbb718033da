// The stamp of a claim: which matrices get a secret normal direction and how much of it, committed beside the keys; and
// its draw, which is its own: who is shown the stamp's seed learns nothing of the keys', nor of the owner's.

import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { isWellFormed } from './canonical.ts';
import { hex256, index } from './shapes.ts';

const MAX_NAME = 1024;
const MAX_MATRICES = 200_000; // a mixture of experts has some ten thousand

export const stampSchema = z.strictObject({
  /** How a key becomes normal numbers (src/stamp/README.md). */
  direction: z.literal('shake256-normal-v1'),
  /** Share of each matrix' standard deviation. */
  epsilon: z.number().gt(0).max(1),
  matrices: z
    .array(
      z.strictObject({
        /** transformers' name. */
        name: z.string().min(1).max(MAX_NAME).refine(isWellFormed, 'holds half a surrogate pair'),
        dtype: z.enum(['float32', 'float16', 'bfloat16']),
        shape: z.array(index).min(1).max(8),
        /** Of the vanilla matrix' bytes: what a suspect is compared with was fixed before the draw. */
        sha256: hex256,
        /** What the direction is multiplied with: epsilon times the standard deviation. */
        scale: z.number().gt(0),
      }),
    )
    .min(1)
    .max(MAX_MATRICES)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'names a matrix twice'),
});
export type StampPlan = z.infer<typeof stampSchema>;

/** What draws for the stamp alone; a leaf of its own. */
export const stampSeed = (ownerSeed: string): string =>
  createHmac('sha256', Buffer.from(ownerSeed, 'hex')).update('whorl-seed-v2/stamp').digest('hex');

/** A stamp whose direction is drawn: it needs the root, so it cannot come before the commitment. */
export interface DrawnStamp {
  readonly plan: StampPlan;
  /** 32 bytes that a matrix' direction is made of. */
  keyOf(name: string): Uint8Array;
}

/** @param randomness the beacon's value, 64 hex digits; null for the owner's own dice */
export const drawStamp = (
  plan: StampPlan,
  root: string,
  ownerSeed: string,
  randomness: string | null,
): DrawnStamp => stampBySeed(plan, root, stampSeed(ownerSeed), randomness ?? '');

/** The same from what draws for the stamp alone. @param randomness empty for the owner's own dice */
export function stampBySeed(
  plan: StampPlan,
  root: string,
  seedOfStamp: string,
  randomness: string,
): DrawnStamp {
  const seed = Buffer.from(seedOfStamp, 'hex');
  const prefix = Buffer.concat([
    Buffer.from('whorl-draw-v2/stamp'),
    Buffer.from(root, 'hex'),
    Buffer.from(randomness, 'hex'),
  ]);
  return {
    plan,
    keyOf: (name) => createHmac('sha256', seed).update(prefix).update(name, 'utf8').digest(),
  };
}
