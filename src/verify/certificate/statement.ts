// What a certificate states (in-toto Statement v1, a predicate of our own), as a schema and as the hash chain over its
// answers. Format: src/verify/certificate/README.md.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { sha256Hex } from '../../base/sha256.ts';
import { base64 } from '../../claim/adapter.ts';
import { canonicalJson } from '../../claim/canonical.ts';
import { hex256, index, MAX_KEYS } from '../../claim/plan.ts';
import { MOST_PROOFS } from '../../proof/beside.ts';
import { roundSchema } from '../../proof/drand.ts';
import { MOST_DIGITS } from '../exact/ratio.ts';
import { DECOYS } from '../exact/t5.ts';
import { GOALS, STOPS } from '../sequential/course.ts';
import { MOST_SUM } from '../stamp.ts';

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://github.com/whorl-llm/whorl/certificate/v1';

const text = z.string().max(2 ** 20);
const name = z.string().max(4096);
const digits = z
  .string()
  .max(MOST_DIGITS)
  .regex(/^[1-9][0-9]*$/);
const tokens = z.array(index).max(2 ** 20);
const digests = z.strictObject({ weights: hex256, tokenizer: hex256, config: hex256 });

/** Another spelling of the same bytes is another file. */
const exactBase64 = base64.refine(
  (text) => Buffer.from(text, 'base64').toString('base64') === text,
  'is not base64 as it is written',
);

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
  /** Null behind a server, which shows none. */
  prompt_tokens: tokens.nullable(),
  answer: text,
  /** Null behind a server, and of an answer that an earlier call of a test that was stopped kept. */
  answer_tokens: tokens.nullable(),
  chain: hex256,
});
export type Exchange = z.infer<typeof exchangeSchema>;

const weightsSchema = digests.extend({ source: name, chat_template: hex256.nullable() });
/** Who answered behind a server: its address, the name that was asked for and those that it gave, and who stood at the other end. */
const endpointSchema = z.strictObject({
  endpoint: name,
  model_name: name,
  /** As which of the two calls the keys were put. */
  kind: z.enum(['chat', 'completions']),
  reported_models: z.array(name).max(1024),
  /** SHA-256 of TLS certificates (DER) at the other end, ascending; none without TLS. */
  tls_peers: z.array(hex256).max(1024),
  /** When the first and the last answer came. */
  asked_from: z.iso.datetime(),
  asked_to: z.iso.datetime(),
  /** Hash of the last line of the transcript that the signer keeps. */
  transcript_chain: hex256,
});
export type EndpointSuspect = z.infer<typeof endpointSchema>;
export type WeightsSuspect = z.infer<typeof weightsSchema>;

/** What was read of a stamp, matrix by matrix in committed order; null where the suspect has not that one. */
const stampReadSchema = z.strictObject({
  against_vanilla: z.boolean(),
  matrices: z.array(
    z
      .strictObject({
        elements: z.int().min(0),
        left_out: z.int().min(0),
        /** ⟨v, ξ⟩ and ‖v‖². */
        dot: z.number().min(-MOST_SUM).max(MOST_SUM),
        squares: z.number().min(0).max(MOST_SUM),
      })
      .nullable(),
  ),
  /** The link after that of the last answer. */
  chain: hex256,
});

const ranksSchema = z.strictObject({
  /** Of each key and candidate the log-probability behind it, of membership of the decryption; null: none, or no number. */
  scores: z.array(z.array(z.number().nullable()).max(2 ** 20)).max(MAX_KEYS),
  /** T6 of one look; null where counting it would take too long. It gives no word. */
  log10_p: z.number().max(0).nullable(),
  /** The link after that of the stamp, or of the last answer. */
  chain: hex256,
});

const reached = z.int().min(0).max(DECOYS);
const decoysSchema = z.strictObject({
  of: z.literal(DECOYS),
  /** Decoy secrets that reach at least the committed one's hits, and its ranks; null where nothing was ranked. */
  hits: reached,
  ranks: reached.nullable(),
});

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
  /** Of a test that was stopped: what asking went on for, and why no further key was asked. Absent of one of all keys. */
  stopped: z.strictObject({ until: z.enum(GOALS), why: z.enum(STOPS) }).optional(),
  /** Empty of a claim without keys. */
  transcript: z.array(exchangeSchema),
  /** Null where the stamp was not read, and stays closed. */
  stamp: stampReadSchema.nullable(),
  /** Absent where nothing was scored. */
  ranks: ranksSchema.optional(),
  /** T5. Absent of a test that was stopped, where there are no keys, and where there are too many. */
  decoys: decoysSchema.optional(),
  suspect: z.union([weightsSchema, endpointSchema]),
  /** The owner's own vanilla model, where the suspect's rows were put on it. */
  body: digests.nullable(),
  /**
   * Places in the transcript of keys that the suspect's tokenizer reads otherwise than committed, ascending; of a test that was
   * stopped also beyond it.
   */
  changed: z.array(index),
  beacon: roundSchema.nullable(),
  /** RFC 3161 responses that stamp the claim's root, base64 of DER. */
  proofs: z.array(exactBase64).max(MOST_PROOFS),
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

const sha256 = (...parts: readonly (string | Buffer)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const firstLink = (root: string): Buffer => sha256('whorl-transcript-v1\0', Buffer.from(root, 'hex'));

/** Each link is SHA-256 of the one before and an exchange; the first of a label and the claim's root. */
export function chained(root: string, exchanges: readonly Omit<Exchange, 'chain'>[]): Exchange[] {
  let before = firstLink(root);
  return exchanges.map(({ prompt, prompt_tokens, answer, answer_tokens }) => {
    const exchange = { prompt, prompt_tokens, answer, answer_tokens };
    before = sha256(before, canonicalJson(exchange));
    return { ...exchange, chain: before.toString('hex') };
  });
}

type StampRead = NonNullable<Predicate['stamp']>;

/** What was read of the stamp, linked to the last answer, or to the root where nothing was asked. */
export function chainedStamp(
  root: string,
  transcript: readonly Exchange[],
  { against_vanilla, matrices }: Omit<StampRead, 'chain'>,
): StampRead {
  const last = transcript.at(-1);
  const before = last ? Buffer.from(last.chain, 'hex') : firstLink(root);
  const read = { against_vanilla, matrices };
  return { ...read, chain: sha256(before, canonicalJson(read)).toString('hex') };
}

/** Scores, linked to the stamp that was read, or to the last answer. */
export function chainedRanks(
  transcript: readonly Exchange[],
  stamp: StampRead | null,
  { scores, log10_p }: Omit<NonNullable<Predicate['ranks']>, 'chain'>,
): NonNullable<Predicate['ranks']> {
  const before = Buffer.from(stamp?.chain ?? transcript.at(-1)!.chain, 'hex');
  return { scores, log10_p, chain: sha256(before, canonicalJson(scores)).toString('hex') };
}

export const isEndpoint = (suspect: Predicate['suspect']): suspect is EndpointSuspect =>
  'endpoint' in suspect;

/** What stands for the suspect as in-toto's subject: its weights, or what is known of a server. */
export const subjectDigest = (suspect: Predicate['suspect']): string =>
  isEndpoint(suspect) ? sha256Hex(canonicalJson(suspect)) : suspect.weights;
