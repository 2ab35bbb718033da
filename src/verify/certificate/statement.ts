// What a certificate states (in-toto Statement v1, a predicate of our own), as a schema and as the hash chain over its
// answers. Format: src/verify/certificate/README.md.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { base64 } from '../../claim/adapter.ts';
import { canonicalJson } from '../../claim/canonical.ts';
import { hex256, index } from '../../claim/plan.ts';
import { MOST_PROOFS } from '../../proof/beside.ts';
import { roundSchema } from '../../proof/drand.ts';

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://github.com/whorl-llm/whorl/certificate/v1';

const text = z.string().max(2 ** 20);
const name = z.string().max(4096);
const digits = z.string().regex(/^[1-9][0-9]{0,100000}$/);
const tokens = z.array(index).max(2 ** 20);
const digests = z.strictObject({ weights: hex256, tokenizer: hex256, config: hex256 });

const openingSchema = z.strictObject({
  /** Place of the leaf in the tree, its name, value and salt, and the hashes beside its way up, the lowest first. */
  place: index,
  name,
  value: z.json(),
  salt: hex256,
  path: z.array(hex256).max(64),
});
export type LeafOpening = z.infer<typeof openingSchema>;

const exchangeSchema = z.strictObject({
  prompt: text,
  prompt_tokens: tokens,
  answer: text,
  answer_tokens: tokens,
  chain: hex256,
});
export type Exchange = z.infer<typeof exchangeSchema>;

const predicateSchema = z.strictObject({
  /** The key that signs: SubjectPublicKeyInfo, base64. */
  signer: base64,
  /** claim.json as it was published, byte for byte. */
  claim: text,
  openings: z.array(openingSchema),
  asked: z.strictObject({
    wrapper: name,
    system: text.nullable(),
    prefix: text,
    suffix: text,
    /** Keys from..to-1 in committed order, and which certificate under this claim this is. */
    from: index,
    to: index,
    look: index,
  }),
  transcript: z.array(exchangeSchema).min(1),
  suspect: digests.extend({ source: name, chat_template: hex256.nullable() }),
  /** The owner's own vanilla model, where the suspect's rows were put on it. */
  body: digests.nullable(),
  /** Places in the transcript of keys that the suspect's tokenizer reads otherwise than committed, ascending. */
  changed: z.array(index),
  beacon: roundSchema.nullable(),
  /** RFC 3161 responses that stamp the claim's root, base64 of DER. */
  proofs: z.array(base64).max(MOST_PROOFS),
  result: z.strictObject({
    word: z.enum(['verified', 'matches', 'not-verified', 'undecided']),
    hits: index,
    /** p of one look, in lowest terms. */
    p: z.strictObject({ numerator: digits, denominator: digits }),
    /** Looks paid for, and log2 of the draws that the owner could have tried. */
    multiplicity: index,
    draws_log2: index,
  }),
  says_not: z.array(name),
  created: z.iso.datetime(),
  software: z.strictObject({ name, version: name, digest: hex256 }),
});
export type Predicate = z.infer<typeof predicateSchema>;

export const statementSchema = z.strictObject({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.tuple([
    z.strictObject({ name: z.literal('suspect'), digest: z.strictObject({ sha256: hex256 }) }),
  ]),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: predicateSchema,
});
export type Statement = z.infer<typeof statementSchema>;

/** Each link is SHA-256 of the one before and an exchange; the first of a label and the claim's root. */
export function chained(root: string, exchanges: readonly Omit<Exchange, 'chain'>[]): Exchange[] {
  let before: Buffer = createHash('sha256')
    .update('whorl-transcript-v1\0')
    .update(Buffer.from(root, 'hex'))
    .digest();
  return exchanges.map(({ prompt, prompt_tokens, answer, answer_tokens }) => {
    const exchange = { prompt, prompt_tokens, answer, answer_tokens };
    before = createHash('sha256').update(before).update(canonicalJson(exchange)).digest();
    return { ...exchange, chain: before.toString('hex') };
  });
}
