// Arrow IPC, stream and file format, message by message: memory holds one record batch, so a file beyond 2 GiB is
// read like a small one. A file is a stream between two magics; its footer is only needed for random access.

import { WhorlError } from '../../base/error.ts';
import { BoundedReader } from '../bounded-reader.ts';
import { type Column, type Dictionaries, readBatch } from './arrow-batch.ts';
import { type ArrowField, type ArrowType, readSchema } from './arrow-schema.ts';
import { Table } from './flatbuffer.ts';
import { damaged, pickColumns, type ReadRowsOptions, type Row, refuseTwins, rowOf } from './row.ts';

export const ARROW_MAGIC = 'ARROW1';
const MAX_METADATA = 64 * 1024 * 1024;
const SCHEMA = 1;
const DICTIONARY = 2;
const RECORDS = 3;

/** Throws `bad-file` naming the file and the message or row where it does not hold together. */
export function* readArrowRows(path: string, options: ReadRowsOptions): Generator<Row> {
  const reader = new BoundedReader(path);
  try {
    yield* new ArrowReader(reader).rows(options);
  } finally {
    reader.close();
  }
}

interface Message {
  type: number;
  header: Table;
  body: Uint8Array;
}

class ArrowReader {
  readonly #end: number;
  #fields: ArrowField[] | undefined;
  readonly #dictionaries: Dictionaries = new Map();
  #messages = 0;
  #rows = 0;

  constructor(private readonly reader: BoundedReader) {
    this.#end = enterFile(reader);
  }

  *rows({ columns }: ReadRowsOptions): Generator<Row> {
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      const { type, header, body } = message;
      if (type === SCHEMA) this.#guard(() => (this.#fields ??= readSchema(header, this.reader.name)));
      else if (type === DICTIONARY) this.#guard(() => this.#readDictionary(header, body));
      else if (type === RECORDS) yield* this.#records(header, body, columns);
      else throw damaged(this.#where(), `a message of kind ${type}, which no data file has`);
    }
    // An all-zero file reads as "end of stream" at once: without a schema there was no stream.
    if (this.#fields === undefined) throw damaged(this.reader.name, 'no Arrow schema in it');
  }

  *#records(header: Table, body: Uint8Array, wanted?: readonly string[]): Generator<Row> {
    const fields = this.#fields;
    if (fields === undefined) throw damaged(this.#where(), 'rows before the schema');
    const names = fields.map((field) => field.name);
    refuseTwins(names, this.reader.name);
    const picked = pickColumns(this.reader.name, names, wanted).map(
      (name) => [name, names.indexOf(name)] as const,
    );
    const batch = this.#guard(() => readBatch(header, body, fields, this.#dictionaries));
    for (let i = 0; i < batch.length; i++) {
      this.#rows++;
      yield this.#guard(() => rowOf(picked.map(([name, at]) => [name, batch.columns[at]!.at(i)] as const)));
    }
  }

  #readDictionary(header: Table, body: Uint8Array): void {
    const id = header.i64(0);
    const field = dictionaryField(this.#fields ?? [], id);
    const data = header.table(1);
    if (field === undefined || data === undefined)
      throw new RangeError(`dictionary ${id} belongs to no column`);
    const column = readBatch(data, body, [field], this.#dictionaries).columns[0]!;
    const values = Array.from({ length: column.length }, (_, i) => column.at(i)); // shared by every row that names them
    const before = header.u8(2) === 1 ? this.#dictionaries.get(id) : undefined;
    this.#dictionaries.set(
      id,
      before ? concat(before, values) : { length: values.length, at: (i) => values[i] },
    );
  }

  /** The next message, or undefined at the end of the stream. */
  #next(): Message | undefined {
    const { reader } = this;
    if (this.#end - reader.position < 4) {
      if (reader.position === this.#end) return undefined;
      throw damaged(this.#where(), 'the file ends within a message');
    }
    this.#messages++;
    return this.#guard(() => {
      let length = reader.i32('a message length');
      if (length === -1) length = reader.i32('a message length'); // the marker of Arrow 0.15 and later
      if (length === 0) return undefined;
      if (length < 0 || length > MAX_METADATA) throw new RangeError(`a header of ${length} bytes`);
      const message = Table.root(reader.bytes(length, 'a message header'));
      const header = message.table(2);
      if (header === undefined) throw new RangeError('a message without content');
      const body = reader.bytes(message.size(3), 'a message body');
      if (reader.position > this.#end) throw new RangeError('a message that runs into the footer');
      return { type: message.u8(1), header, body };
    });
  }

  #guard<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (cause instanceof WhorlError) throw cause;
      throw damaged(this.#where(), (cause as Error).message, cause);
    }
  }

  #where(): string {
    return `${this.reader.name}, Arrow message ${this.#messages}, row ${this.#rows}`;
  }
}

/** Moves past the file format's leading magic and returns where its messages end; for a stream, the whole file. */
function enterFile(reader: BoundedReader): number {
  const start = new Uint8Array(Math.min(6, reader.size));
  reader.readInto(start, 0);
  if (Buffer.from(start).toString('latin1') !== ARROW_MAGIC) return reader.size;
  const tail = new Uint8Array(10);
  if (reader.size < 8 + 10) throw damaged(reader.name, 'too short for an Arrow file');
  reader.readInto(tail, reader.size - 10);
  const footer = new DataView(tail.buffer).getInt32(0, true);
  const end = reader.size - 10 - footer;
  if (Buffer.from(tail.subarray(4)).toString('latin1') !== ARROW_MAGIC || footer <= 0 || end < 8)
    throw damaged(reader.name, 'an Arrow file without its footer');
  reader.position = 8;
  return end;
}

function dictionaryField(fields: readonly ArrowField[], id: bigint): ArrowField | undefined {
  for (const { type } of fields) {
    const found =
      type.kind === 'dictionary' && type.id === id ? type.values : dictionaryField(inner(type), id);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inner(type: ArrowType): readonly ArrowField[] {
  if (type.kind === 'struct') return type.fields;
  if (type.kind === 'list' || type.kind === 'fixed-list') return [type.item];
  return type.kind === 'dictionary' ? [type.values] : [];
}

const concat = (a: Column, b: unknown[]): Column => ({
  length: a.length + b.length,
  at: (i) => (i < a.length ? a.at(i) : b[i - a.length]),
});
