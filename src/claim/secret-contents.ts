// What secret.whorl holds once it is open, as a schema and as what the rest of Whorl asks of it.
// Every released version stays readable (goldens/claims).

import { z } from 'zod';
import { adapterSchema, base64 } from './adapter.ts';
import { claimSchema, softwareSchema } from './claim.ts';
import {
  answersDraw,
  bindingsSchema,
  directionDraw,
  hex256,
  index,
  membershipDraw,
  planSchema,
} from './plan.ts';

const rowsSchema = z.strictObject({
  /** The embedding tensor's name and its dtype on disk. */
  tensor: z.string().min(1),
  dtype: z.enum(['float32', 'float16', 'bfloat16']),
  width: z.int().min(1),
  /** Ascending token ids of the rows that training changed. */
  ids: z.array(index),
  /** base64 of the rows' bytes in `dtype`, little-endian, [ids, width], before and after. */
  vanilla: base64,
  published: base64,
});
export type RowsRecord = z.infer<typeof rowsSchema>;

const openedSchema = z.strictObject({
  /** Keys from..to-1. */
  from: index,
  to: index,
  /** The stamp was opened too: whoever has the certificate can take it out. */
  stamp: z.literal(true).optional(),
  /** SHA-256 of the certificate's statement. */
  statement: hex256,
  created: z.iso.datetime(),
});

export const secretSchema = z.strictObject({
  method: z.string().min(1),
  created: z.iso.datetime(),
  software: softwareSchema,
  claim: claimSchema,
  plan: planSchema,
  bindings: bindingsSchema,
  opening: z.strictObject({ salts: z.array(hex256), owner_seed: hex256.nullable() }),
  /** Null of a claim that waits for its beacon round. */
  draw: z.discriminatedUnion('kind', [answersDraw, membershipDraw, directionDraw]).nullable(),
  /** The beacon's value of the committed round; null for other draws. */
  randomness: hex256.nullable(),
  adapter: adapterSchema.nullable(),
  /** Null until training has ended. */
  rows: rowsSchema.nullable(),
  published: z.strictObject({ weights: hex256, body: hex256, embedding: hex256.optional() }).nullable(),
  /** Keys that certificates opened: in committed order, whoever has a certificate has them. From format 2. */
  opened: z.array(openedSchema).optional(),
});
export type SecretContents = z.infer<typeof secretSchema>;
