// Writes one GGUF file (version 3) from streamed bytes: the header is known before the first tensor is made, so memory
// holds one chunk, whatever the model's size. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

import { breathe } from '../../base/abort.ts';
import { AtomicFile } from '../../base/atomic.ts';
import { assert } from '../../base/error.ts';
import { elements } from '../../tensor/tensor.ts';
import { GGUF_ALIGNMENT, GGUF_MAGIC, GGUF_VALUES } from './gguf.ts';
import { BLOCKS, GGML_TYPE_NAMES, type GgufType } from './gguf-blocks.ts';

/** A value under a key, in the type that llama.cpp wants it in. */
export type GgufEntry =
  | { readonly type: 'uint32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s' | 'float32s'; readonly value: readonly number[] };

export type GgufEntries = ReadonlyMap<string, GgufEntry>;

export interface GgufOut {
  readonly name: string;
  readonly type: GgufType;
  /** Row-major; the file has the fastest dimension first. */
  readonly shape: readonly number[];
}

const VERSION = 3;
const TYPE_IDS: ReadonlyMap<string, number> = new Map([...GGML_TYPE_NAMES].map(([id, name]) => [name, id]));

/** Bytes of a tensor in its file, without what pads it. */
export const ggufBytes = ({ type, shape }: GgufOut): number =>
  (elements(shape) / BLOCKS[type].elements) * BLOCKS[type].bytes;

/**
 * Writes `tensors` in their order, atomically. `source(tensor)` yields its bytes in chunks that need to live only until
 * the next is asked for.
 */
export async function writeGguf<T extends GgufOut>(
  path: string,
  entries: GgufEntries,
  tensors: readonly T[],
  source: (tensor: T) => Iterable<Uint8Array>,
): Promise<void> {
  const file = new AtomicFile(path);
  try {
    file.write(headerOf(entries, tensors));
    for (const tensor of tensors) {
      const end = file.size + ggufBytes(tensor);
      for (const chunk of source(tensor)) {
        file.write(chunk);
        await breathe();
      }
      assert(file.size === end, `${tensor.name}: ${file.size - end} bytes more than its shape says`);
      file.write(new Uint8Array(padded(file.size) - file.size));
    }
    file.commit();
  } finally {
    file.discard();
  }
}

const padded = (size: number): number => Math.ceil(size / GGUF_ALIGNMENT) * GGUF_ALIGNMENT;

function headerOf(entries: GgufEntries, tensors: readonly GgufOut[]): Uint8Array {
  const out = new Bytes();
  out.uint32(GGUF_MAGIC);
  out.uint32(VERSION);
  out.u64(tensors.length);
  out.u64(entries.size);
  for (const [key, entry] of entries) {
    out.string(key);
    writeEntry(out, entry);
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.string(tensor.name);
    out.uint32(tensor.shape.length);
    for (const dim of tensor.shape.toReversed()) out.u64(dim);
    out.uint32(TYPE_IDS.get(tensor.type)!);
    out.u64(offset);
    offset += padded(ggufBytes(tensor));
  }
  return out.done();
}

function writeEntry(out: Bytes, { type, value }: GgufEntry): void {
  const item = ITEMS[type];
  if (item === undefined) {
    out.uint32(GGUF_VALUES[type as Writable]);
    out[type as Writable](value as never);
    return;
  }
  const list = value as readonly unknown[];
  out.uint32(GGUF_VALUES.array);
  out.uint32(GGUF_VALUES[item]);
  out.u64(list.length);
  for (const each of list) out[item](each as never);
}

type Writable = keyof typeof GGUF_VALUES & keyof Bytes;
/** Lists, by what they hold. */
const ITEMS: { readonly [T in GgufEntry['type']]?: Writable } = {
  strings: 'string',
  int32s: 'int32',
  float32s: 'float32',
};

/** Little-endian bytes that grow. */
class Bytes {
  #bytes = new Uint8Array(1 << 16);
  #size = 0;

  uint32(value: number): void {
    this.#room(4).setUint32(0, value, true);
  }
  int32(value: number): void {
    this.#room(4).setInt32(0, value, true);
  }
  float32(value: number): void {
    this.#room(4).setFloat32(0, value, true);
  }
  bool(value: boolean): void {
    this.#room(1).setUint8(0, value ? 1 : 0);
  }
  u64(value: number): void {
    this.#room(8).setBigUint64(0, BigInt(value), true);
  }
  string(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    const { byteOffset } = this.#room(bytes.length);
    this.#bytes.set(bytes, byteOffset);
  }
  /** Padded, so that the first tensor is aligned. */
  done(): Uint8Array {
    this.#room(padded(this.#size) - this.#size);
    return this.#bytes.subarray(0, this.#size);
  }

  /** The next so many bytes. */
  #room(bytes: number): DataView {
    const at = this.#size;
    this.#size += bytes;
    if (this.#size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#size, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return new DataView(this.#bytes.buffer, at, bytes);
  }
}
