// What secret.whorl holds once it is open, as a schema and as what the rest of Whorl asks of it.
// Version 1; every released version stays readable (goldens/claims).

import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { elements, type FloatTensor } from '../tensor/tensor.ts';
import { canonicalJson, sha256Hex } from './canonical.ts';
import { claimSchema, softwareSchema } from './claim.ts';
import { answersDraw, bindingsSchema, hex256, index, membershipDraw, planSchema } from './plan.ts';

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is not base64');
const setting = z.union([z.string(), z.number(), z.boolean()]);

const adapterSchema = z.strictObject({
  /** Everything beside the tensors that decides what the adapter does (rank, scale, seed …). */
  settings: z.record(z.string(), setting),
  /** `data`: base64 of little-endian float32, row-major. */
  tensors: z.array(z.strictObject({ name: z.string().min(1), shape: z.array(index), data: base64 })).min(1),
});
export type AdapterRecord = z.infer<typeof adapterSchema>;

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

export const secretSchema = z.strictObject({
  method: z.string().min(1),
  created: z.iso.datetime(),
  software: softwareSchema,
  claim: claimSchema,
  plan: planSchema,
  bindings: bindingsSchema,
  opening: z.strictObject({ salts: z.array(hex256), owner_seed: hex256.nullable() }),
  draw: z.discriminatedUnion('kind', [answersDraw, membershipDraw]),
  /** The beacon's value of the committed round; null for other draws. */
  randomness: hex256.nullable(),
  adapter: adapterSchema.nullable(),
  /** Null until training has ended. */
  rows: rowsSchema.nullable(),
  published: z.strictObject({ weights: hex256, body: hex256 }).nullable(),
});
export type SecretContents = z.infer<typeof secretSchema>;

/** An adapter in memory. */
export interface AdapterParts {
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly tensors: Readonly<Record<string, FloatTensor>>;
}

export function encodeAdapter(parts: AdapterParts): AdapterRecord {
  return {
    settings: { ...parts.settings },
    tensors: Object.entries(parts.tensors).map(([name, { shape, data }]) => ({
      name,
      shape: [...shape],
      data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
    })),
  };
}

/** Throws WhorlError 'bad-secret' where a tensor's bytes are not its shape's. */
export function decodeAdapter(record: AdapterRecord): AdapterParts {
  const tensors = record.tensors.map(({ name, shape, data }): [string, FloatTensor] => {
    const bytes = Buffer.from(data, 'base64');
    if (bytes.length !== 4 * elements(shape))
      throw new WhorlError(
        'bad-secret',
        `adapter tensor ${name} has ${bytes.length} bytes for shape [${shape}]`,
      );
    const values = new Float32Array(new Uint8Array(bytes).buffer);
    return [name, { shape, data: values }];
  });
  return { settings: record.settings, tensors: Object.fromEntries(tensors) };
}

/** What the commitment binds of an adapter: SHA-256 over its settings, and names, shapes and bytes in name order. */
export function adapterDigest(record: AdapterRecord): string {
  const tensors = record.tensors
    .map(({ name, shape, data }) => ({ name, shape, sha256: sha256Hex(Buffer.from(data, 'base64')) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256Hex('whorl-adapter-v1\0', canonicalJson({ settings: record.settings, tensors }));
}
