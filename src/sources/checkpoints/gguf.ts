// Reads the header of a GGUF file (versions 2 and 3) and believes nothing it says.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

import { basename } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { type BoundedReader, withReader } from '../bounded-reader.ts';
import { refuseLookAlike } from '../look-alike.ts';
import { BLOCKS, GGML_TYPE_NAMES, type GgufType } from './gguf-blocks.ts';
import { shown } from './safetensors.ts';

export const GGUF_MAGIC = 0x46554747; // "GGUF"
export const GGUF_ALIGNMENT = 32; // where `general.alignment` says nothing
/** Types of the values under keys, by the format's numbers. */
export const GGUF_VALUES = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;
const MAX_STRING = 64 * 1024 * 1024; // bytes; chat templates and licences stay under 1 MB
const MAX_NAME = 1024; // bytes of a key or a tensor's name; ggml itself stops at 64 for tensors
const MAX_RANK = 4; // GGML_MAX_DIMS
const MAX_NESTING = 4;

/** uint64 and int64 values beyond 2^53 stay bigint. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];
type GgufMetadata = ReadonlyMap<string, GgufValue>;

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Row-major, as everywhere in Whorl (GGUF itself writes the fastest dimension first). */
  readonly shape: readonly number[];
  /** From the file's start. */
  readonly offset: number;
  readonly length: number;
}

export interface GgufFile {
  readonly path: string;
  readonly identity: string;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Whether the file begins with GGUF's magic. */
export const looksLikeGguf = (path: string): boolean =>
  withReader(path, (reader) => reader.size >= 4 && reader.u32('the magic') === GGUF_MAGIC);

/**
 * Throws `bad-file` for anything malformed, `unsupported` for a version or tensor type we do not read, and for one part of
 * several unless `part` says that the caller has them all.
 */
export function readGguf(path: string, name = basename(path), part = false): GgufFile {
  return withReader(path, (reader) => new GgufParser(reader).parse(part), name);
}

class GgufParser {
  readonly #reader: BoundedReader;
  constructor(reader: BoundedReader) {
    this.#reader = reader;
  }

  parse(part: boolean): GgufFile {
    const reader = this.#reader;
    refuseLookAlike(reader);
    if (reader.u32('the magic') !== GGUF_MAGIC) throw this.#bad('does not begin with GGUF');
    const version = reader.u32('the version');
    if (version !== 2 && version !== 3) throw this.#wrongVersion(version);
    const tensorCount = reader.count(24, 'the number of tensors');
    const keyCount = reader.count(13, 'the number of keys');
    const metadata = this.#metadata(keyCount);
    const parts = metadata.get('split.count');
    if (!part && typeof parts === 'number' && parts > 1)
      throw this.#error(
        'unsupported',
        `one of ${parts} parts (split.count)`,
        'merge them with llama-gguf-split --merge',
      );
    const tensors = this.#tensors(tensorCount, this.#alignment(metadata));
    return { path: reader.path, identity: reader.identity, metadata, tensors };
  }

  #metadata(count: number): GgufMetadata {
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < count; i++) {
      const key = this.#name('a key');
      if (metadata.has(key)) throw this.#bad(`the key ${shown(key)} stands twice`);
      metadata.set(key, this.#value(this.#reader.u32(`the type of ${shown(key)}`), shown(key), 0));
    }
    return metadata;
  }

  #alignment(metadata: GgufMetadata): number {
    const alignment = metadata.get('general.alignment') ?? GGUF_ALIGNMENT;
    const valid = typeof alignment === 'number' && alignment >= 1 && alignment <= 2 ** 20;
    if (!valid || !Number.isInteger(Math.log2(alignment)))
      throw this.#bad(`general.alignment is ${String(alignment)}, not a power of two up to 2^20`);
    return alignment;
  }

  #tensors(count: number, alignment: number): ReadonlyMap<string, GgufTensor> {
    const reader = this.#reader;
    const tensors = new Map<string, GgufTensor>();
    for (let i = 0; i < count; i++) {
      const tensor = this.#tensor();
      if (tensors.has(tensor.name)) throw this.#bad(`tensor ${shown(tensor.name)} stands twice`);
      tensors.set(tensor.name, tensor);
    }
    const padded = (n: number) => Math.ceil(n / alignment) * alignment;
    const dataStart = padded(reader.position);
    let expected = 0; // like llama.cpp: each tensor follows the one before, padded; so no overlap and no hole
    let end = dataStart;
    for (const [name, tensor] of tensors) {
      if (tensor.offset !== expected)
        throw this.#bad(`tensor ${shown(name)} begins at ${tensor.offset} of the data, not at ${expected}`);
      end = dataStart + expected + tensor.length;
      if (end > reader.size)
        throw this.#error(
          'bad-file',
          `tensor ${shown(name)} ends at ${end}, but the file at ${reader.size}`,
          'the file is truncated; fetch it again',
        );
      tensors.set(name, { ...tensor, offset: dataStart + expected });
      expected += padded(tensor.length);
    }
    if (reader.size > Math.max(dataStart + expected, end))
      throw this.#bad(`${reader.size - dataStart - expected} bytes after the last tensor`);
    return tensors;
  }

  /** One tensor's entry; its offset still counts from the start of the data. */
  #tensor(): GgufTensor {
    const reader = this.#reader;
    const name = this.#name("a tensor's name");
    const at = `tensor ${shown(name)}`;
    const rank = reader.u32(`the rank of ${at}`);
    if (rank < 1 || rank > MAX_RANK) throw this.#bad(`${at} has ${rank} dimensions`);
    const dims: number[] = [];
    let count = 1;
    for (let i = 0; i < rank; i++) {
      const dim = Number(reader.u64(`a dimension of ${at}`));
      count *= dim;
      if (dim < 1 || !Number.isSafeInteger(count)) throw this.#bad(`the shape of ${at} is absurd`);
      dims.push(dim);
    }
    const id = reader.u32(`the type of ${at}`);
    const typeName = GGML_TYPE_NAMES.get(id);
    if (typeName === undefined) throw this.#bad(`${at} has the unknown type ${id}`);
    const type = typeName as GgufType;
    const block = BLOCKS[type];
    if (block === undefined)
      throw this.#error(
        'unsupported',
        `${at} has type ${typeName}`,
        `Whorl reads ${Object.keys(BLOCKS).join(', ')}`,
      );
    if (dims[0]! % block.elements !== 0)
      throw this.#bad(
        `rows of ${at} have ${dims[0]} elements, no multiple of ${block.elements} as ${type} needs`,
      );
    const length = (count / block.elements) * block.bytes;
    const offset = Number(reader.u64(`the offset of ${at}`));
    if (!Number.isSafeInteger(length) || !Number.isSafeInteger(offset))
      throw this.#bad(`the extent of ${at} is absurd`);
    return { name, type, shape: dims.reverse(), offset, length };
  }

  #value(type: number, at: string, depth: number): GgufValue {
    const scalar = SCALARS[type];
    if (scalar !== undefined) return this.#scalar(scalar.read(this.#reader, at), type, at);
    if (type === GGUF_VALUES.string) return this.#string(MAX_STRING, at);
    if (type !== GGUF_VALUES.array) throw this.#bad(`${at} has the unknown value type ${type}`);
    if (depth === MAX_NESTING) throw this.#bad(`${at} nests arrays deeper than ${MAX_NESTING}`);
    const inner = this.#reader.u32(`the item type of ${at}`);
    const smallest = SCALARS[inner]?.bytes ?? (inner === GGUF_VALUES.string ? 8 : 12);
    const count = this.#reader.count(smallest, `the length of ${at}`);
    const items: GgufValue[] = [];
    for (let i = 0; i < count; i++) items.push(this.#value(inner, at, depth + 1));
    return items;
  }

  #scalar(value: number | bigint, type: number, at: string): GgufValue {
    if (type === GGUF_VALUES.bool) {
      if (value !== 0 && value !== 1) throw this.#bad(`${at} is a bool of value ${value}`);
      return value === 1;
    }
    return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #name(what: string): string {
    const name = this.#string(MAX_NAME, what);
    if (name.length === 0 || /\p{Cc}/u.test(name)) throw this.#bad(`${what} is empty or not printable`);
    return name;
  }

  #string(limit: number, what: string): string {
    const length = this.#reader.count(1, `the length of ${what}`);
    if (length > limit) throw this.#bad(`${what} has ${length} bytes, more than the ${limit} allowed`);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#reader.shortBytes(length, what),
      );
    } catch (cause) {
      if (cause instanceof WhorlError) throw cause;
      throw this.#bad(`${what} is not UTF-8`);
    }
  }

  #wrongVersion(version: number): WhorlError {
    if ((version & 0xffff) === 0 && version !== 0)
      return this.#error('unsupported', 'is big-endian', 'convert it with gguf-convert-endian');
    return this.#error(
      'unsupported',
      `GGUF version ${version}`,
      'Whorl reads versions 2 and 3; convert the model anew',
    );
  }
  #bad(message: string): WhorlError {
    return this.#error('bad-file', message);
  }
  #error(code: 'bad-file' | 'unsupported', message: string, fix?: string): WhorlError {
    return new WhorlError(code, `${this.#reader.name}: ${message}`, fix);
  }
}

interface Scalar {
  readonly bytes: number;
  readonly read: (reader: BoundedReader, what: string) => number | bigint;
}
const SCALARS: Readonly<Record<number, Scalar>> = {
  [GGUF_VALUES.uint8]: { bytes: 1, read: (r, what) => r.u8(what) },
  [GGUF_VALUES.int8]: { bytes: 1, read: (r, what) => r.i8(what) },
  [GGUF_VALUES.uint16]: { bytes: 2, read: (r, what) => r.u16(what) },
  [GGUF_VALUES.int16]: { bytes: 2, read: (r, what) => r.i16(what) },
  [GGUF_VALUES.uint32]: { bytes: 4, read: (r, what) => r.u32(what) },
  [GGUF_VALUES.int32]: { bytes: 4, read: (r, what) => r.i32(what) },
  [GGUF_VALUES.float32]: { bytes: 4, read: (r, what) => r.f32(what) },
  [GGUF_VALUES.bool]: { bytes: 1, read: (r, what) => r.u8(what) },
  [GGUF_VALUES.uint64]: { bytes: 8, read: (r, what) => r.u64(what) },
  [GGUF_VALUES.int64]: { bytes: 8, read: (r, what) => r.i64(what) },
  [GGUF_VALUES.float64]: { bytes: 8, read: (r, what) => r.f64(what) },
};
