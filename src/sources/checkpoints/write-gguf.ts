// Writes one GGUF file (version 3) from streamed bytes: the header is known before the first tensor is made, so memory
// holds one chunk, whatever the model's size. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

import { AtomicFile } from '../../base/atomic.ts';
import { assert } from '../../base/error.ts';
import { elements } from '../../tensor/tensor.ts';
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

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;
const ALIGNMENT = 32; // the format's default
const ARRAY = 9;
const IDS = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8 } as const;
const TYPE_IDS: ReadonlyMap<string, number> = new Map([...GGML_TYPE_NAMES].map(([id, name]) => [name, id]));

/** Bytes of a tensor in its file, without what pads it. */
export const ggufBytes = ({ type, shape }: GgufOut): number =>
  (elements(shape) / BLOCKS[type].elements) * BLOCKS[type].bytes;

/**
 * Writes `tensors` in their order, atomically. `source(tensor)` yields its bytes in chunks that need to live only until
 * the next is asked for.
 */
export function writeGguf<T extends GgufOut>(
  path: string,
  entries: GgufEntries,
  tensors: readonly T[],
  source: (tensor: T) => Iterable<Uint8Array>,
): void {
  const file = new AtomicFile(path);
  try {
    file.write(headerOf(entries, tensors));
    for (const tensor of tensors) {
      const end = file.size + ggufBytes(tensor);
      for (const chunk of source(tensor)) file.write(chunk);
      assert(file.size === end, `${tensor.name}: ${file.size - end} bytes more than its shape says`);
      file.write(new Uint8Array(padded(file.size) - file.size));
    }
    file.commit();
  } finally {
    file.discard();
  }
}

const padded = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

function headerOf(entries: GgufEntries, tensors: readonly GgufOut[]): Uint8Array {
  const out = new Bytes();
  out.u32(MAGIC);
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(entries.size);
  for (const [key, entry] of entries) {
    out.text(key);
    writeEntry(out, entry);
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.u32(tensor.shape.length);
    for (const dim of tensor.shape.toReversed()) out.u64(dim);
    out.u32(TYPE_IDS.get(tensor.type)!);
    out.u64(offset);
    offset += padded(ggufBytes(tensor));
  }
  return out.done();
}

function writeEntry(out: Bytes, entry: GgufEntry): void {
  switch (entry.type) {
    case 'uint32':
    case 'float32':
      out.u32(IDS[entry.type]);
      return out[entry.type](entry.value);
    case 'bool':
      out.u32(IDS.bool);
      return out.bool(entry.value);
    case 'string':
      out.u32(IDS.string);
      return out.text(entry.value);
    case 'strings':
      out.list(IDS.string, entry.value.length);
      for (const text of entry.value) out.text(text);
      return;
    case 'int32s':
      out.list(IDS.int32, entry.value.length);
      for (const value of entry.value) out.int32(value);
      return;
    case 'float32s':
      out.list(IDS.float32, entry.value.length);
      for (const value of entry.value) out.float32(value);
  }
}

/** Little-endian bytes that grow. */
class Bytes {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;

  u32(value: number): void {
    this.#view.setUint32(this.#room(4), value, true);
  }
  uint32 = this.u32;
  int32(value: number): void {
    this.#view.setInt32(this.#room(4), value, true);
  }
  float32(value: number): void {
    this.#view.setFloat32(this.#room(4), value, true);
  }
  bool(value: boolean): void {
    this.#view.setUint8(this.#room(1), value ? 1 : 0);
  }
  u64(value: number): void {
    this.#view.setBigUint64(this.#room(8), BigInt(value), true);
  }
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }
  list(type: number, length: number): void {
    this.u32(ARRAY);
    this.u32(type);
    this.u64(length);
  }
  /** Padded, so that the first tensor is aligned. */
  done(): Uint8Array {
    this.#room(padded(this.#size) - this.#size);
    return this.#bytes.subarray(0, this.#size);
  }

  #room(bytes: number): number {
    const at = this.#size;
    this.#size += bytes;
    if (this.#size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#size, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
