// Writes one safetensors file from streamed bytes: the header is known before the first tensor is made,
// so memory holds one chunk, whatever the model's size.

import { breathe } from '../../base/abort.ts';
import { AtomicFile } from '../../base/atomic.ts';
import { assert } from '../../base/error.ts';
import { BYTES_PER_ELEMENT, type Dtype, elements } from '../../tensor/tensor.ts';
import { DTYPE_NAMES } from './safetensors.ts';

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor's bytes (little-endian, row-major), in chunks that need to live only until the next is asked for. */
export type BytesOf<E extends SafetensorsEntry> = (entry: E) => Iterable<Uint8Array>;

/** Writes `entries` in their order, atomically. */
export async function writeSafetensors<E extends SafetensorsEntry>(
  path: string,
  entries: readonly E[],
  source: BytesOf<E>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const file = new AtomicFile(path);
  try {
    for (const chunk of safetensorsChunks(entries, source, metadata)) {
      file.write(chunk);
      await breathe();
    }
    file.commit();
  } finally {
    file.discard();
  }
}

/** The file's bytes, header first. */
export function* safetensorsChunks<E extends SafetensorsEntry>(
  entries: readonly E[],
  source: BytesOf<E>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Generator<Uint8Array> {
  yield safetensorsHeader(entries, metadata);
  for (const entry of entries) {
    let left = byteLength(entry);
    for (const chunk of source(entry)) {
      left -= chunk.length;
      yield chunk;
    }
    assert(left === 0, `${entry.name}: ${-left} bytes more than its shape says`);
  }
}

/** The same in memory, for what is small or must not touch a disk as it is. */
export function safetensorsBytes(
  entries: readonly (SafetensorsEntry & { readonly bytes: Uint8Array })[],
): Uint8Array {
  for (const entry of entries)
    assert(entry.bytes.length === byteLength(entry), `${entry.name}: bytes and shape`);
  return Buffer.concat([safetensorsHeader(entries, {}), ...entries.map(({ bytes }) => bytes)]);
}

/** Numbers as an entry, its bytes where they lie. */
export const arrayEntry = (
  name: string,
  data: Float32Array | Int32Array,
  shape: readonly number[] = [data.length],
): SafetensorsEntry & { readonly bytes: Uint8Array } => ({
  ...{ name, shape, dtype: data instanceof Int32Array ? 'int32' : 'float32' },
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** Length, JSON, and spaces up to a multiple of eight so that every tensor of floats is aligned. */
function safetensorsHeader(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const parts = [`"__metadata__":${JSON.stringify(metadata)}`];
  let begin = 0;
  for (const entry of entries) {
    const end = begin + byteLength(entry);
    const described = { dtype: DTYPE_NAMES[entry.dtype], shape: entry.shape, data_offsets: [begin, end] };
    parts.push(`${JSON.stringify(entry.name)}:${JSON.stringify(described)}`);
    begin = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + padded).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(json, 8);
  return out;
}

const byteLength = (entry: SafetensorsEntry): number =>
  elements(entry.shape) * BYTES_PER_ELEMENT[entry.dtype];
