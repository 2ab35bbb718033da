// The directory of a zip archive whose entries are stored, not compressed (torch's .pt files), and believes nothing:
// local headers must say what the directory says, entries tile the file, every CRC is compared.
// Format: PKWARE APPNOTE 6.3.9.

import { crc32 } from 'node:zlib';
import { WhorlError } from '../../base/error.ts';
import type { BoundedReader } from '../bounded-reader.ts';
import { shown } from './safetensors.ts';

export interface ZipEntry {
  readonly name: string;
  /** Where its bytes lie in the file. */
  readonly offset: number;
  readonly length: number;
}

const MAX_ENTRIES = 100_000;
const MAX_NAME = 1024; // bytes
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;
const ENCRYPTED = 0x2041; // bits of the flags: encrypted, strongly encrypted, masked headers
const DESCRIPTOR = 8; // sizes and CRC follow the data

interface Listed extends ZipEntry {
  readonly crc: number;
  readonly flags: number;
  readonly header: number;
}

/** Every entry by name. Throws `bad-file` for lies and damage, `unsupported` for compressed or encrypted entries. */
export function readStoredZip(reader: BoundedReader): ReadonlyMap<string, ZipEntry> {
  const bad = (message: string) =>
    new WhorlError('bad-file', `${reader.name}: ${message}`, 'the file is damaged or was made to mislead');
  const { count, at, end } = directory(reader, bad);
  const listed = new Map<string, Listed>();
  reader.position = at;
  for (let i = 0; i < count; i++) {
    const entry = centralEntry(reader, bad);
    if (listed.has(entry.name)) throw bad(`the entry ${shown(entry.name)} is listed twice`);
    listed.set(entry.name, entry);
  }
  if (reader.position !== end) throw bad(`the directory ends at ${reader.position} and should end at ${end}`);

  const entries = new Map<string, ZipEntry>();
  let next = 0;
  for (const entry of [...listed.values()].sort((a, b) => a.header - b.header)) {
    if (entry.header !== next)
      throw bad(
        `the entry ${shown(entry.name)} ${entry.header < next ? 'overlaps the one before' : 'leaves a hole before it'}`,
      );
    const offset = localHeader(reader, entry, bad);
    if (offset + entry.length > at) throw bad(`the entry ${shown(entry.name)} runs into the directory`);
    let crc = 0;
    for (const chunk of reader.chunks(offset, entry.length)) crc = crc32(chunk, crc);
    if (crc !== entry.crc)
      throw bad(`the CRC of ${shown(entry.name)} is ${crc.toString(16)}, not ${entry.crc.toString(16)}`);
    next = descriptorEnd(reader, entry, offset + entry.length, bad);
    entries.set(entry.name, { name: entry.name, offset, length: entry.length });
  }
  if (next !== at) throw bad('there are bytes between the last entry and the directory');
  return entries;
}

type Bad = (message: string) => WhorlError;

/** The end record is the last 22 bytes: an archive comment, or anything after it, is refused. */
function directory(reader: BoundedReader, bad: Bad): { count: number; at: number; end: number } {
  if (reader.size < 22) throw bad('too short for a zip archive');
  let end = reader.size - 22;
  reader.position = end;
  if (reader.u32('the end record') !== 0x06054b50)
    throw bad('no end record of a zip archive in the last 22 bytes');
  const disks = reader.u32('the disk numbers');
  let here = reader.u16('the number of entries');
  let count = reader.u16('the number of entries');
  let size = reader.u32("the directory's size");
  let at = reader.u32("the directory's offset");
  if (disks !== 0 || reader.u16("the comment's length") !== 0)
    throw bad('an archive in several parts, or with a comment');
  const locator = end - 20;
  reader.position = Math.max(0, locator);
  if (locator >= 56 && reader.u32('the zip64 locator') === 0x07064b50) {
    const disk = reader.u32('the locator');
    const record = reader.u64('the locator');
    if (disk !== 0 || reader.u32('the locator') !== 1) throw bad('an archive in several parts');
    if (record !== BigInt(locator - 56)) throw bad('the zip64 end record is not where its locator says');
    reader.position = locator - 56;
    if (reader.u32('the zip64 record') !== 0x06064b50 || reader.u64('its size') !== 44n)
      throw bad('the zip64 end record is damaged');
    reader.position += 12; // versions and disk numbers
    const wide = [0, 0, 0, 0].map(() => reader.u64('the zip64 record'));
    if (wide.some((value) => value > BigInt(reader.size))) throw bad('the zip64 end record exceeds the file');
    const narrow: [number, number][] = [
      [here, FULL16],
      [count, FULL16],
      [size, FULL32],
      [at, FULL32],
    ];
    if (narrow.some(([value, full], i) => value !== full && BigInt(value) !== wide[i]))
      throw bad('the two end records disagree');
    [here, count, size, at] = wide.map(Number) as [number, number, number, number];
    end = locator - 56;
  }
  if (here !== count) throw bad('an archive in several parts');
  if (count > MAX_ENTRIES || count * 46 > size)
    throw bad(`a directory of ${size} bytes for ${count} entries`);
  if (at + size !== end) throw bad('the directory does not end where the end record begins');
  return { count, at, end };
}

function centralEntry(reader: BoundedReader, bad: Bad): Listed {
  if (reader.u32('a directory entry') !== 0x02014b50) throw bad('a directory entry has no signature');
  reader.u32('versions');
  const flags = reader.u16('flags');
  const method = reader.u16('the method');
  reader.u32('the time');
  const crc = reader.u32('the CRC');
  let packed = reader.u32('a size');
  let length = reader.u32('a size');
  const nameLength = reader.u16('a name length');
  const extraLength = reader.u16('an extra length');
  const commentLength = reader.u16('a comment length');
  reader.u16('the disk');
  reader.position += 6; // attributes
  let header = reader.u32('an offset');
  const name = entryName(reader, nameLength, bad);
  const afterName = reader.position;
  reader.need(extraLength + commentLength, 'an extra field');
  const wide = zip64Extra(reader, extraLength, bad);
  const widen = (value: number): number => {
    if (value !== FULL32) return value;
    const from = wide.shift();
    if (from === undefined || from > BigInt(reader.size))
      throw bad(`${shown(name)}: a size exceeds the file`);
    return Number(from);
  };
  length = widen(length);
  packed = widen(packed);
  header = widen(header);
  reader.position = afterName + extraLength + commentLength;
  if (flags & ENCRYPTED)
    throw new WhorlError('unsupported', `${reader.name}: the entry ${shown(name)} is encrypted`);
  if (method !== 0)
    throw new WhorlError(
      'unsupported',
      `${reader.name}: the entry ${shown(name)} is compressed (method ${method}), which torch never writes`,
    );
  if (packed !== length) throw bad(`${shown(name)} is stored, but its two sizes differ`);
  if (header > reader.size || length > reader.size) throw bad(`${shown(name)} lies outside the file`);
  return { name, crc, flags, length, header, offset: 0 };
}

/** The 64-bit values of the extra field 1, in its order: size, packed size, offset, each only where it is needed. */
function zip64Extra(reader: BoundedReader, length: number, bad: Bad): bigint[] {
  const end = reader.position + length;
  while (reader.position + 4 <= end) {
    const tag = reader.u16('an extra field');
    const size = reader.u16('an extra field');
    if (reader.position + size > end) throw bad('an extra field is longer than its header says');
    if (tag !== 1) {
      reader.position += size;
      continue;
    }
    return Array.from({ length: Math.floor(size / 8) }, () => reader.u64('the zip64 field'));
  }
  return [];
}

function entryName(reader: BoundedReader, length: number, bad: Bad): string {
  if (length === 0 || length > MAX_NAME) throw bad(`an entry's name has ${length} bytes`);
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(reader.bytes(length, 'a name'));
  } catch (error) {
    if (error instanceof WhorlError) throw error;
    throw bad("an entry's name is not UTF-8");
  }
  // Nothing is ever unpacked to disk; a name that would climb is a sign of an attack all the same.
  if (
    /[\\:\p{Cc}]/u.test(name) ||
    name.split('/').some((part) => part === '' || part === '.' || part === '..')
  )
    throw bad(`the entry name ${shown(name)} is not a plain path inside the archive`);
  return name;
}

/** Where the data of `entry` begin. Throws unless the local header says what the directory says. */
function localHeader(reader: BoundedReader, entry: Listed, bad: Bad): number {
  const disagree = (what: string) =>
    bad(`${shown(entry.name)}: local header and directory disagree on ${what}`);
  reader.position = entry.header;
  if (reader.u32('a local header') !== 0x04034b50) throw bad(`${shown(entry.name)} has no local header`);
  reader.u16('a version');
  if (reader.u16('flags') !== entry.flags) throw disagree('the flags');
  if (reader.u16('the method') !== 0) throw disagree('the method');
  reader.u32('the time');
  const crc = reader.u32('the CRC');
  const sizes = [reader.u32('a size'), reader.u32('a size')];
  const nameLength = reader.u16('a name length');
  const extraLength = reader.u16('an extra length');
  if (entryName(reader, nameLength, bad) !== entry.name) throw disagree('the name');
  reader.need(extraLength, 'an extra field');
  const later = (entry.flags & DESCRIPTOR) !== 0;
  if (crc !== entry.crc && !(later && crc === 0)) throw disagree('the CRC');
  if (sizes.some((size) => size !== entry.length && size !== FULL32 && !(later && size === 0)))
    throw disagree('the size');
  if (sizes.includes(FULL32)) {
    const after = reader.position + extraLength;
    const wide = zip64Extra(reader, extraLength, bad);
    reader.position = after - extraLength;
    if (wide.some((value) => value !== BigInt(entry.length) && !(later && value === 0n)))
      throw disagree('the size');
  }
  return reader.position + extraLength;
}

/** Past the data descriptor, where there is one; it comes with 32-bit or 64-bit sizes. */
function descriptorEnd(reader: BoundedReader, entry: Listed, at: number, bad: Bad): number {
  if (!(entry.flags & DESCRIPTOR)) return at;
  reader.position = at;
  if (reader.u32('a data descriptor') !== 0x08074b50 || reader.u32('a data descriptor') !== entry.crc)
    throw bad(`${shown(entry.name)}: data descriptor and directory disagree`);
  const narrow = [reader.u32('a data descriptor'), reader.u32('a data descriptor')];
  if (narrow.every((size) => size === entry.length) && !(entry.length === 0 && wideZero(reader)))
    return reader.position;
  reader.position = at + 8;
  if ([0, 0].every(() => reader.u64('a data descriptor') === BigInt(entry.length))) return reader.position;
  throw bad(`${shown(entry.name)}: data descriptor and directory disagree`);
}

/** For an empty entry both widths read as zeros: the wide one has no signature in its second half. */
function wideZero(reader: BoundedReader): boolean {
  const at = reader.position;
  const zero = reader.left >= 8 && reader.u64('a data descriptor') === 0n;
  reader.position = at;
  return zero;
}
