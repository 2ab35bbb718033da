// One Arrow record batch as columns of values. Each buffer is checked against the length it must serve before any
// value is read, so that no count in a file leads outside it or to memory that the file does not back.

import { isUtf8 } from 'node:buffer';
import { codecNumbered, type Unpack, unpackBuffer } from './arrow-compression.ts';
import type { ArrowField, ArrowType } from './arrow-schema.ts';
import type { Table } from './flatbuffer.ts';
import { parsePythonJson } from './python-json.ts';
import { exactInteger, rowOf } from './row.ts';

/** Values by index, 0 <= i < length. */
export interface Column {
  length: number;
  at(i: number): unknown;
}

export type Dictionaries = Map<bigint, Column>;

const PACKED = 255;
const FREE_ROWS = 1 << 20; // nulls and empty structs take no bytes: so many are believed without any

/** Reads `fields` out of a RecordBatch table and its body. Throws RangeError where anything does not fit. */
export function readBatch(
  batch: Table,
  body: Uint8Array,
  fields: readonly ArrowField[],
  dictionaries: Dictionaries,
): { length: number; columns: Column[] } {
  const compression = batch.table(3);
  if (compression && compression.u8(1) !== 0) throw new RangeError('a body compressed as a whole');
  const unpack = compression && codecNumbered(compression.u8(0));
  const length = batch.size(0);
  if (length > most(body, unpack)) throw new RangeError(`${length} rows in ${body.length} bytes`);
  const cursor = new Cursor(batch, body, dictionaries, unpack);
  const columns = fields.map((field) => cursor.column(field.type));
  if (columns.some((column) => column.length !== length))
    throw new RangeError('columns of different lengths');
  return { length, columns };
}

/** Values that a body may claim: eight of a byte, and of a packed one as many more as it can stretch to. */
const most = (body: Uint8Array, unpack: Unpack | undefined): number =>
  FREE_ROWS + 8 * body.length * (unpack ? PACKED : 1);

class Cursor {
  readonly #nodes: [length: number, nulls: number][];
  readonly #regions: [offset: number, length: number][];
  readonly #variadic: number[];
  #node = 0;
  #region = 0;
  #view = 0;
  constructor(
    batch: Table,
    private readonly body: Uint8Array,
    private readonly dictionaries: Dictionaries,
    private readonly unpack: Unpack | undefined,
  ) {
    this.#nodes = batch.sizePairs(1);
    this.#regions = batch.sizePairs(2);
    this.#variadic = batch.sizes(4);
  }

  column(type: ArrowType): Column {
    const node = this.#nodes[this.#node++];
    if (node === undefined) throw new RangeError('fewer nodes than fields');
    const [length, nulls] = node;
    if (length > most(this.body, this.unpack))
      throw new RangeError(`${length} values in ${this.body.length} bytes`);
    if (type.kind === 'null') return { length, at: () => null };
    const validity = this.#buffer();
    const value = this.#values(type, length);
    if (nulls === 0 || validity.length === 0) return { length, at: value };
    covers(validity.length * 8, length);
    return { length, at: (i) => (bit(validity, i) ? value(i) : null) };
  }

  #values(type: Exclude<ArrowType, { kind: 'null' }>, length: number): (i: number) => unknown {
    switch (type.kind) {
      case 'null':
        return () => null;
      case 'bool': {
        const bits = this.#buffer();
        covers(bits.length * 8, length);
        return (i) => bit(bits, i);
      }
      case 'number':
        return this.#numbers(type, length);
      case 'fixed-bytes': {
        const values = this.#buffer();
        const { width } = type;
        if (width < 0) throw new RangeError(`a width of ${width}`);
        covers(values.length, length * width);
        return (i) => values.slice(i * width, (i + 1) * width);
      }
      case 'bytes': {
        const offsets = this.#offsets(length, type.large);
        const values = this.#buffer();
        covers(values.length, offsets(length));
        if (type.text && !isUtf8(values.subarray(offsets(0), offsets(length))))
          throw new RangeError('text that is not UTF-8');
        return (i) => bytesOrText(values, offsets(i), offsets(i + 1), type.text);
      }
      case 'view':
        return this.#views(length, type.text);
      case 'list': {
        const offsets = this.#offsets(length, type.large);
        const item = this.column(type.item.type);
        covers(item.length, offsets(length));
        return (i) => slice(item, offsets(i), offsets(i + 1));
      }
      case 'fixed-list': {
        const item = this.column(type.item.type);
        const { size } = type;
        if (size < 0) throw new RangeError(`a list size of ${size}`);
        covers(item.length, length * size);
        return (i) => slice(item, i * size, (i + 1) * size);
      }
      case 'struct': {
        const members = type.fields.map((field) => [field.name, this.column(field.type)] as const);
        for (const [, column] of members) covers(column.length, length);
        return (i) => rowOf(members.map(([name, column]) => [name, column.at(i)] as const));
      }
      case 'json': {
        const text = this.#values(type.text, length);
        return (i) => parsePythonJson(text(i) as string);
      }
      case 'dictionary': {
        const index = this.#numbers(type.index, length);
        const values = this.dictionaries.get(type.id);
        return (i) => {
          const at = Number(index(i));
          if (values === undefined || at < 0 || at >= values.length)
            throw new RangeError(`no dictionary entry ${at}`);
          return values.at(at);
        };
      }
    }
  }

  #numbers(
    { bytes, number }: ArrowType & { kind: 'number' },
    length: number,
  ): (i: number) => number | bigint {
    const buffer = this.#buffer();
    covers(buffer.length, length * bytes);
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    if (number === 'float') {
      if (bytes === 8) return (i) => view.getFloat64(i * 8, true);
      if (bytes === 4) return (i) => view.getFloat32(i * 4, true);
      return (i) => half(view.getUint16(i * 2, true));
    }
    const signed = number === 'int';
    switch (bytes) {
      case 1:
        return signed ? (i) => view.getInt8(i) : (i) => view.getUint8(i);
      case 2:
        return signed ? (i) => view.getInt16(i * 2, true) : (i) => view.getUint16(i * 2, true);
      case 4:
        return signed ? (i) => view.getInt32(i * 4, true) : (i) => view.getUint32(i * 4, true);
      case 8:
        return (i) => exactInteger(signed ? view.getBigInt64(i * 8, true) : view.getBigUint64(i * 8, true));
    }
  }

  /** `length + 1` offsets, checked never to fall; an empty column may leave them out. */
  #offsets(length: number, large: boolean): (i: number) => number {
    const buffer = this.#buffer();
    if (length === 0) return () => 0;
    covers(buffer.length, (length + 1) * (large ? 8 : 4));
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const at = large
      ? (i: number) => Number(view.getBigInt64(i * 8, true))
      : (i: number) => view.getInt32(i * 4, true);
    for (let i = 0, last = 0; i <= length; i++) {
      if (at(i) < last) throw new RangeError(`offset ${i} falls`);
      last = at(i);
    }
    return at;
  }

  /** 16 bytes each: length, then up to 12 bytes in place, or prefix, buffer and offset. */
  #views(length: number, text: boolean): (i: number) => unknown {
    const buffer = this.#buffer();
    covers(buffer.length, length * 16);
    const count = this.#variadic[this.#view++] ?? 0;
    if (count > this.#regions.length) throw new RangeError(`${count} buffers of text`);
    const data = Array.from({ length: count }, () => this.#buffer());
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    return (i) => {
      const size = view.getInt32(i * 16, true);
      const inline = size <= 12;
      const source = inline ? buffer : data[view.getInt32(i * 16 + 8, true)];
      const start = inline ? i * 16 + 4 : view.getInt32(i * 16 + 12, true);
      if (source === undefined || size < 0 || start < 0) throw new RangeError('a view that points nowhere');
      covers(source.length, start + size);
      return bytesOrText(source, start, start + size, text);
    };
  }

  #buffer(): Uint8Array {
    const region = this.#regions[this.#region++];
    if (region === undefined) throw new RangeError('fewer buffers than fields need');
    const [offset, length] = region;
    covers(this.body.length, offset + length);
    const bytes = this.body.subarray(offset, offset + length);
    return this.unpack ? unpackBuffer(bytes, this.unpack) : bytes;
  }
}

function covers(have: number, need: number): void {
  if (!(need <= have)) throw new RangeError(`${need} needed where ${have} are`);
}

const bit = (bits: Uint8Array, i: number) => ((bits[i >> 3]! >> (i & 7)) & 1) === 1;

const slice = (column: Column, from: number, to: number): unknown[] =>
  Array.from({ length: to - from }, (_, i) => column.at(from + i));

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bytesOrText(bytes: Uint8Array, from: number, to: number, text: boolean): string | Uint8Array {
  return text ? utf8.decode(bytes.subarray(from, to)) : bytes.slice(from, to);
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}
