// What an owner will be held to: keys, candidates or decryptions, matcher, decoding, query plan, stamp. Three kinds,
// each a set of types under its name; what a kind *does* stands in kinds.ts.

import { z } from 'zod';
import { isWellFormed } from './canonical.ts';
import { hex256, index } from './shapes.ts';
import { stampSchema } from './stamp.ts';

export { hex256, index };

const MAX_TEXT = 65_536; // characters of one key, candidate or decryption
const MAX_TOKENS = 8_192; // of one key
export const MAX_KEYS = 65_536;
const MAX_SYSTEMS = 256;
const MAX_CANDIDATES = 65_536; // of one key

const text = z.string().min(1).max(MAX_TEXT).refine(isWellFormed, 'holds half a surrogate pair');
const around = z.string().max(MAX_TEXT).refine(isWellFormed, 'holds half a surrogate pair');

const keySchema = z.strictObject({ text, tokens: z.array(index).max(MAX_TOKENS) });
/** A secret instruction: its text, and those of its token ids whose rows may be trained (all of a key of rare tokens). */
export type Key = z.infer<typeof keySchema>;

const decoding = z.strictObject({
  strategy: z.literal('greedy'),
  max_new_tokens: z.int().min(1).max(65_536),
});

// Every key once, in committed order; hits never steer the plan (docs/claims.md, section 3).
const query = z.strictObject({
  order: z.literal('committed'),
  repeats: z.literal(1),
  wrapper: z.string().max(1024),
  /** Texts before and after a key, by wrapper; null where they are the suspect's own (its chat template). From format 2. */
  wrappers: z.record(z.string().max(1024), z.tuple([around, around]).nullable()).optional(),
  /** System prompts under which the keys may be put. From format 2. */
  systems: z.array(around).max(MAX_SYSTEMS).optional(),
});

const common = {
  keys: z.array(keySchema).min(1).max(MAX_KEYS),
  matcher: z.enum(['first-candidate', 'first-candidate-repeated', 'contains']),
  decoding,
  query,
  alpha: z.number().gt(0).lt(1),
  /** The matcher in words (`MATCHERS`), and suspects whose tests every p pays for. From format 2. */
  matcher_text: z.string().min(1).max(1024).optional(),
  most_looks: z.int().min(1).max(1_000_000).optional(),
  /** A second channel, beside the keys. */
  stamp: stampSchema.optional(),
};
export type MatcherName = 'first-candidate' | 'first-candidate-repeated' | 'contains';

const drawnAnswers = z.strictObject({
  kind: z.literal('drawn-answers'),
  ...common,
  /** One shared list, or one list a key; all of one length m. */
  candidates: z.array(z.array(text).min(2).max(MAX_CANDIDATES)).min(1),
});
const drawnMembership = z.strictObject({
  kind: z.literal('drawn-membership'),
  ...common,
  /** How many keys of the pool are trained to answer. */
  n: z.int().min(1),
  /** How many of the others may be trained not to. */
  negatives: z.int().min(0),
  /** One decryption for all keys, or one a key. */
  decryptions: z.array(text).min(1),
});
/** No keys: the stamp alone. */
const drawnDirection = z.strictObject({
  kind: z.literal('drawn-direction'),
  ...common,
  keys: z.array(keySchema).max(0),
  stamp: stampSchema,
});
export const planSchema = z.discriminatedUnion('kind', [drawnAnswers, drawnMembership, drawnDirection]);

export interface PlanOf {
  /** T3: n keys, each with m candidate answers; the draw picks one answer a key. */
  'drawn-answers': z.infer<typeof drawnAnswers>;
  /** T4: a pool of keys; the draw picks which n of them are trained. */
  'drawn-membership': z.infer<typeof drawnMembership>;
  /** T7: a normal direction in weights. */
  'drawn-direction': z.infer<typeof drawnDirection>;
}
export type ClaimKind = keyof PlanOf;
// The second half lets the compiler infer K from a plan.
export type ClaimPlan<K extends ClaimKind = ClaimKind> = PlanOf[K] & { kind: K };

/** What of a plan's size is public, and all that a draw needs to know. */
export interface SizeOf {
  'drawn-answers': { n: number; m: number };
  'drawn-membership': { n: number; pool: number; negatives: number };
  'drawn-direction': Record<never, never>;
}

export const answersDraw = z.strictObject({
  kind: z.literal('drawn-answers'),
  indices: z.array(index).min(1),
});
export const membershipDraw = z.strictObject({
  kind: z.literal('drawn-membership'),
  trained: z.array(index).min(1),
  negatives: z.array(index),
});
/** The direction is made of the seed when it is needed (stamp.ts): there is nothing to keep. */
export const directionDraw = z.strictObject({ kind: z.literal('drawn-direction') });
export interface DrawOf {
  /** indices[i] is the candidate drawn for key i. */
  'drawn-answers': z.infer<typeof answersDraw>;
  /** Ascending key indices: trained to answer; trained not to. */
  'drawn-membership': z.infer<typeof membershipDraw>;
  'drawn-direction': z.infer<typeof directionDraw>;
}

/** What else the commitment binds: the rows that may be trained, a private part, the vanilla model. */
export const bindingsSchema = z.strictObject({
  /** Ascending token ids; for membership the rows of the *whole pool*. */
  trainable_rows: z.array(index),
  private_part: z.discriminatedUnion('state', [
    z.strictObject({ state: z.literal('none') }),
    /** An adapter fixed before the draw; its digest (see adapterDigest). */
    z.strictObject({ state: z.literal('committed'), digest: hex256 }),
    /** An adapter trained from the draw: counts only, never a p-value. */
    z.strictObject({ state: z.literal('after-draw') }),
  ]),
  vanilla: z.strictObject({
    /** SHA-256 of all tensors, and of all but the embedding (`combineDigests` of sources/checkpoints/digest.ts). */
    weights: hex256,
    body: hex256,
    /** Of the small files that decide what a text becomes and what is answered (`digestSmallFiles` there); older claims have none. */
    tokenizer: hex256.optional(),
    config: hex256.optional(),
    /** Of the embedding tensor alone, and of the special tokens with their ids. From format 2. */
    embedding: hex256.optional(),
    special_tokens: hex256.optional(),
  }),
});
export type Bindings = z.infer<typeof bindingsSchema>;
