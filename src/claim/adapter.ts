// The private low-rank map of an adapter claim as a record of secret.whorl and back, and the digest that commits it.

import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { elements, type FloatTensor } from '../tensor/tensor.ts';
import { canonicalJson } from './canonical.ts';
import { index } from './plan.ts';

export const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is not base64');
const setting = z.union([z.string(), z.number(), z.boolean()]);

export const adapterSchema = z.strictObject({
  /** Everything beside the tensors that decides what the adapter does (rank, scale, seed …). */
  settings: z.record(z.string(), setting),
  /** `data`: base64 of little-endian float32, row-major. */
  tensors: z.array(z.strictObject({ name: z.string().min(1), shape: z.array(index), data: base64 })).min(1),
});
export type AdapterRecord = z.infer<typeof adapterSchema>;

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

/** e ↦ e + scale · B·A·e, as `LowRankMap` of the models has it: A [rank, E], B [E, rank]. */
export interface AdapterMap {
  readonly rank: number;
  readonly scale: number;
  readonly A: Float32Array;
  readonly B: Float32Array;
}

export function encodeMap({ rank, scale, A, B }: AdapterMap): AdapterRecord {
  const width = A.length / rank;
  const tensors = { A: { shape: [rank, width], data: A }, B: { shape: [width, rank], data: B } };
  return encodeAdapter({ settings: { rank, scale }, tensors });
}

/** @throws WhorlError `bad-secret` for a record that is no low-rank map */
export function decodeMap(record: AdapterRecord): AdapterMap {
  const { settings, tensors } = decodeAdapter(record);
  const { A, B } = tensors;
  const { rank, scale } = settings;
  if (
    !A ||
    !B ||
    typeof rank !== 'number' ||
    typeof scale !== 'number' ||
    A.shape[0] !== rank ||
    B.shape[1] !== rank ||
    A.shape[1] !== B.shape[0]
  )
    throw new WhorlError(
      'bad-secret',
      'the secret’s adapter is not a low-rank map',
      'take the copy that was written',
    );
  return { rank, scale, A: A.data, B: B.data };
}

/** What the commitment binds of an adapter: SHA-256 over its settings, and names, shapes and bytes in name order. */
export function adapterDigest(record: AdapterRecord): string {
  const tensors = record.tensors
    .map(({ name, shape, data }) => ({ name, shape, sha256: sha256Hex(Buffer.from(data, 'base64')) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256Hex('whorl-adapter-v1\0', canonicalJson({ settings: record.settings, tensors }));
}
