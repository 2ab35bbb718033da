// Reads the header of one safetensors file and believes nothing it says.
// Format: https://github.com/huggingface/safetensors (8-byte length, JSON header, then the tensors' bytes).

import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { BYTES_PER_ELEMENT, type Dtype, type TensorRef } from '../../tensor/tensor.ts';
import { withReader } from '../bounded-reader.ts';
import { refuseLookAlike } from '../look-alike.ts';
import { asObject, parseStrictJson } from '../strict-json.ts';
import { quantisedError, quantisedNames } from './quantised.ts';

const MAX_HEADER = 100_000_000; // bytes, the reference implementation's limit
const MAX_RANK = 16;

export const DTYPE_NAMES: Readonly<Record<Dtype, string>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  int64: 'I64',
  bool: 'BOOL',
  uint8: 'U8',
};
const DTYPES = new Map(Object.entries(DTYPE_NAMES).map(([dtype, name]) => [name, dtype as Dtype]));

export interface SafetensorsHeader {
  /** By name, in the file's order of bytes. */
  readonly tensors: ReadonlyMap<string, TensorRef>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly size: number;
  readonly identity: string;
}

/** Throws `bad-file` for anything malformed, `unsupported` for a dtype we do not read; `name` is for messages. */
export function readSafetensorsHeader(path: string, name = basename(path)): SafetensorsHeader {
  return withReader(
    path,
    (reader) => {
      const bad = (message: string) =>
        new WhorlError(
          'bad-file',
          `${name}: ${message}`,
          'the file is damaged or not safetensors; fetch it again',
        );
      refuseLookAlike(reader, { anyKind: true });
      const length = reader.u64('the header length');
      if (length > BigInt(MAX_HEADER))
        throw bad(`header of ${length} bytes, more than the ${MAX_HEADER} allowed`);
      const bytes = reader.bytes(Number(length), 'the header');
      if (bytes[0] !== 0x7b) throw bad('the header does not begin with {');
      const header = asObject(
        parseStrictJson(bytes, `${name}: header`, { wholeNumbers: true }),
        `${name}: header`,
      );
      const file = realpathSync(path);
      const dataStart = reader.position;
      const dataLength = reader.left;
      let metadata: ReadonlyMap<string, string> = new Map();
      const refs: [string, TensorRef][] = [];
      for (const [key, value] of Object.entries(header)) {
        if (key === '__metadata__') {
          metadata = readMetadata(value, name);
          continue;
        }
        refs.push([key, readEntry(key, value, { name, file, dataStart, dataLength, header })]);
      }
      refs.sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length);
      let end = dataStart;
      for (const [key, ref] of refs) {
        if (ref.offset !== end)
          throw bad(
            `tensor ${shown(key)} ${ref.offset < end ? 'overlaps the one before' : 'leaves a hole before it'}`,
          );
        end += ref.length;
      }
      if (end !== reader.size) throw bad(`${reader.size - end} bytes after the last tensor`);
      return { tensors: new Map(refs), metadata, size: reader.size, identity: reader.identity };
    },
    name,
  );
}

interface Where {
  readonly name: string;
  readonly file: string;
  readonly dataStart: number;
  readonly dataLength: number;
  readonly header: object;
}

function readEntry(key: string, value: unknown, where: Where): TensorRef {
  const at = `${where.name}: tensor ${shown(key)}`;
  const bad = (message: string, fix?: string) => new WhorlError('bad-file', `${at}: ${message}`, fix);
  if (key.length === 0 || key.length > 1024 || /[\p{Surrogate}\p{Cc}]/u.test(key))
    throw bad('the name is empty, too long or not printable');
  const entry = asObject(value, at);
  if (typeof entry.dtype !== 'string') throw bad('no dtype');
  const dtype = DTYPES.get(entry.dtype);
  if (dtype === undefined) {
    const packed = quantisedNames(Object.keys(where.header));
    if (packed) throw quantisedError(where.name, `${packed[0]}, by ${shown(packed[1])}`);
    throw new WhorlError(
      'unsupported',
      `${at} has dtype ${shown(entry.dtype)}, and Whorl reads ${[...DTYPES.keys()].join(', ')}`,
      'save the model in one of them with transformers, from the weights it was made of where these are quantised',
    );
  }
  const shape: unknown = entry.shape;
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount))
    throw bad('the shape is not a list of whole numbers');
  let length = BYTES_PER_ELEMENT[dtype];
  for (const dim of shape) {
    length *= dim;
    if (!Number.isSafeInteger(length)) throw bad(`the shape [${shape}] is absurd`);
  }
  const range: unknown = entry.data_offsets;
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount))
    throw bad('data_offsets are not two whole numbers');
  const [begin, end] = range as [number, number];
  if (begin > end || end > where.dataLength)
    throw bad(
      `bytes ${begin} to ${end} lie outside the file's ${where.dataLength}`,
      'the file is truncated or damaged; fetch it again',
    );
  if (end - begin !== length)
    throw bad(`${entry.dtype} [${shape}] takes ${length} bytes, but data_offsets give ${end - begin}`);
  return { dtype, shape, file: where.file, offset: where.dataStart + begin, length };
}

function readMetadata(value: unknown, name: string): ReadonlyMap<string, string> {
  const entries = Object.entries(asObject(value, `${name}: __metadata__`));
  for (const [key, text] of entries)
    if (typeof text !== 'string')
      throw new WhorlError('bad-file', `${name}: __metadata__ ${shown(key)} is not a string`);
  return new Map(entries as [string, string][]);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** A name from the file, safe and short enough for a message. */
export const shown = (name: string): string =>
  JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
