// Arrow's Schema.fbs: fields and their types, as far as data sets use them; others are refused by name.

import { WhorlError } from '../../base/error.ts';
import type { Table } from './flatbuffer.ts';
import { refuseTwins } from './row.ts';

const MAX_DEPTH = 32;
const MAX_FIELDS = 20_000; // offsets may point at one table many times, so a small file can claim many

/** Numbers read from a typed array of `bytes` each; `bits` = one bit each (booleans). */
export type ArrowType =
  | { kind: 'null' | 'bool' }
  | { kind: 'number'; bytes: 1 | 2 | 4 | 8; number: 'int' | 'uint' | 'float' }
  | { kind: 'bytes'; text: boolean; large: boolean }
  | { kind: 'view'; text: boolean }
  | { kind: 'fixed-bytes'; width: number }
  | { kind: 'list'; large: boolean; item: ArrowField }
  | { kind: 'fixed-list'; size: number; item: ArrowField }
  | { kind: 'struct'; fields: ArrowField[] }
  | { kind: 'json'; text: ArrowType & { kind: 'bytes' | 'view' } }
  | { kind: 'dictionary'; id: bigint; index: ArrowType & { kind: 'number' }; values: ArrowField };

export interface ArrowField {
  name: string;
  type: ArrowType;
}

// The union `Type` of Schema.fbs, by number.
const NAMES =
  'None Null Int FloatingPoint Binary Utf8 Bool Decimal Date Time Timestamp Interval List Struct Union FixedSizeBinary FixedSizeList Map Duration LargeBinary LargeUtf8 LargeList RunEndEncoded BinaryView Utf8View ListView LargeListView'.split(
    ' ',
  );

/** Throws RangeError for a malformed schema, WhorlError `unsupported` for a type this reader does not know. */
export function readSchema(schema: Table, file: string): ArrowField[] {
  if (schema.i16(0) !== 0)
    throw new WhorlError('unsupported', `${file} is big-endian Arrow`, 'save it on a little-endian machine');
  let left = MAX_FIELDS;
  const read = (table: Table, depth: number): ArrowField => {
    if (depth > MAX_DEPTH || --left < 0) throw new RangeError('fields nested too deep or too many');
    const children = table.tables(5).map((child) => read(child, depth + 1));
    const name = table.string(0);
    const type = readType(table.u8(2), table.table(3), children, `${file}, column ${JSON.stringify(name)}`);
    const dictionary = table.table(4);
    if (dictionary === undefined) return { name, type: isJson(table) ? jsonType(type) : type };
    const int = dictionary.table(1);
    const index = int ? intType(int) : ({ kind: 'number', bytes: 4, number: 'int' } as const);
    return { name, type: { kind: 'dictionary', id: dictionary.i64(0), index, values: { name, type } } };
  };
  return schema.tables(1).map((table) => read(table, 0));
}

/** Text that Arrow's own extension says is JSON: what `datasets` makes of its feature Json. */
const isJson = (field: Table): boolean =>
  field
    .tables(6)
    .some((entry) => entry.string(0) === 'ARROW:extension:name' && entry.string(1) === 'arrow.json');

function jsonType(type: ArrowType): ArrowType {
  if ((type.kind === 'bytes' || type.kind === 'view') && type.text) return { kind: 'json', text: type };
  throw new RangeError(`JSON kept as ${type.kind}`);
}

function readType(code: number, type: Table | undefined, children: ArrowField[], where: string): ArrowType {
  const name = NAMES[code] ?? `type ${code}`;
  const item = () => {
    if (children.length !== 1) throw new RangeError(`${name} with ${children.length} children`);
    return children[0]!;
  };
  switch (name) {
    case 'Null':
      return { kind: 'null' };
    case 'Bool':
      return { kind: 'bool' };
    case 'Int':
      return intType(type!);
    case 'FloatingPoint':
      return { kind: 'number', bytes: ([2, 4, 8] as const)[type!.i16(0)]!, number: 'float' };
    case 'Date':
      return { kind: 'number', bytes: type!.i16(0, 1) === 0 ? 4 : 8, number: 'int' };
    case 'Time':
      return { kind: 'number', bytes: type!.i32(1, 32) === 64 ? 8 : 4, number: 'int' };
    case 'Timestamp':
    case 'Duration':
      return { kind: 'number', bytes: 8, number: 'int' };
    case 'Utf8':
    case 'LargeUtf8':
    case 'Binary':
    case 'LargeBinary':
      return { kind: 'bytes', text: name.endsWith('Utf8'), large: name.startsWith('Large') };
    case 'Utf8View':
    case 'BinaryView':
      return { kind: 'view', text: name === 'Utf8View' };
    case 'FixedSizeBinary':
      return { kind: 'fixed-bytes', width: type!.i32(0) };
    case 'List':
    case 'LargeList':
      return { kind: 'list', large: name === 'LargeList', item: item() };
    case 'FixedSizeList':
      return { kind: 'fixed-list', size: type!.i32(0), item: item() };
    case 'Struct':
      refuseTwins(
        children.map((child) => child.name),
        where,
      );
      return { kind: 'struct', fields: children };
    default:
      throw new WhorlError(
        'unsupported',
        `${where} has Arrow type ${name}, which is not read here`,
        'leave the column out or save it as text',
      );
  }
}

function intType(table: Table): ArrowType & { kind: 'number' } {
  const bits = table.i32(0);
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64)
    throw new RangeError(`an integer of ${bits} bits`);
  return { kind: 'number', bytes: (bits / 8) as 1 | 2 | 4 | 8, number: table.u8(1) === 1 ? 'int' : 'uint' };
}
