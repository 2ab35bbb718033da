// What `torch.save` wrote (.pt, .bin), without torch and without running it: tensors are checked views of the archive's
// records, modules are plain data. Format: torch/serialization.py; files from before 1.6: torch-legacy.ts.

import { realpathSync } from 'node:fs';
import { WhorlError } from '../../base/error.ts';
import { BYTES_PER_ELEMENT } from '../../tensor/tensor.ts';
import { type BoundedReader, withReader } from '../bounded-reader.ts';
import { Global, type PickleValue, readPickle, wrong } from './pickle.ts';
import { shown } from './safetensors.ts';
import { LEGACY, readLegacy } from './torch-legacy.ts';
import { globals, storageDtype, TorchStorage, wholeOf } from './torch-tensor.ts';
import { readStoredZip, type ZipEntry } from './zip.ts';

const MAX_PICKLE = 64 * 1024 * 1024; // bytes; the structure only, tensors lie in records of their own

/**
 * The value of a .pt file; `classes` are the Python classes that may occur, as plain data. Throws `bad-file` for
 * lies and damage, `unsupported` for other formats, opcodes and classes.
 */
export function readTorchFile(path: string, classes: readonly string[], name = path): PickleValue {
  return withReader(
    path,
    (reader) => {
      const start = Buffer.from(reader.bytes(Math.min(512, reader.size), 'the first bytes'));
      if (start.subarray(0, LEGACY.length).equals(LEGACY))
        return readLegacy(reader, globals(classes), realpathSync(path));
      refuseOtherFormats(start, reader);
      const entries = readStoredZip(reader);
      const root = rootOf(entries, name);
      const record = (of: string) => entries.get(`${root}/${of}`);
      const small = (of: string): string | undefined => {
        const entry = record(of);
        if (entry === undefined) return undefined;
        if (entry.length > 64) throw new WhorlError('bad-file', `${name}: ${of} has ${entry.length} bytes`);
        return Buffer.from(bytesOf(reader, entry)).toString('latin1').trim();
      };
      if (record('constants.pkl'))
        throw new WhorlError(
          'unsupported',
          `${name} is a TorchScript program`,
          'save tensors or the adapter module',
        );
      const order = small('byteorder') ?? 'little';
      if (order !== 'little') throw new WhorlError('unsupported', `${name}: byte order ${shown(order)}`);
      const version = small('version') ?? '';
      if (!/^[1-9]$/.test(version))
        throw new WhorlError('bad-file', `${name}: the record version says ${shown(version)}`);
      const pickle = record('data.pkl')!;
      if (pickle.length > MAX_PICKLE)
        throw new WhorlError(
          'bad-file',
          `${name}: data.pkl has ${pickle.length} bytes, more than ${MAX_PICKLE}`,
        );
      const storages = new Map<string, TorchStorage>();
      const file = realpathSync(path);
      return readPickle(bytesOf(reader, pickle), {
        name: `${name}: data.pkl`,
        globals: globals(classes),
        persistent: (id) => storage(id, storages, (key) => record(`data/${key}`), file),
      });
    },
    name,
  );
}

function refuseOtherFormats(start: Buffer, reader: BoundedReader): void {
  const said = (format: string, fix: string) =>
    new WhorlError('unsupported', `${reader.name} is ${format}`, fix);
  const again = 'load it in Python on a machine you can lose, and save it with torch 1.6 or later';
  if (start.subarray(257, 262).toString('latin1') === 'ustar')
    throw said('a tar archive (torch before 0.1.10)', again);
  if (start[0] === 0x80 && start[1]! <= 5) throw said('a bare pickle', 'Whorl reads what torch.save writes');
  if (start.readUInt32LE && start.length >= 4 && start.readUInt32LE(0) !== 0x04034b50)
    throw new WhorlError(
      'bad-file',
      `${reader.name} does not begin as a zip archive`,
      'give a file that torch.save wrote',
    );
}

function rootOf(entries: ReadonlyMap<string, ZipEntry>, name: string): string {
  const found = [...entries.keys()].filter((entry) => /^[^/]+\/data\.pkl$/.test(entry));
  if (found.length !== 1)
    throw new WhorlError(
      'bad-file',
      `${name} holds ${found.length} records data.pkl, where torch writes one`,
    );
  const root = found[0]!.slice(0, -'/data.pkl'.length);
  for (const entry of entries.keys())
    if (!entry.startsWith(`${root}/`))
      throw new WhorlError('bad-file', `${name}: the entry ${shown(entry)} lies outside ${shown(root)}`);
  return root;
}

const bytesOf = (reader: BoundedReader, { offset, length }: ZipEntry): Uint8Array => {
  reader.position = offset;
  return reader.bytes(length, 'a record');
};

function storage(
  id: readonly PickleValue[],
  seen: Map<string, TorchStorage>,
  record: (key: string) => ZipEntry | undefined,
  file: string,
): TorchStorage {
  const [kind, type, key, location, numel] = id;
  if (id.length !== 5 || kind !== 'storage' || !(type instanceof Global) || typeof location !== 'string')
    throw wrong('a persistent id that is no storage');
  if (typeof key !== 'string' || !/^\d{1,9}$/.test(key)) throw wrong('a storage key that is no number');
  const dtype = storageDtype(type);
  const count = wholeOf(numel, 'the size of a storage');
  const entry = record(key);
  if (entry === undefined) throw wrong(`the storage ${key} has no record`);
  if (count * BYTES_PER_ELEMENT[dtype] !== entry.length)
    throw wrong(
      `the storage ${key} has ${count} elements of ${dtype}, but its record has ${entry.length} bytes`,
    );
  const before = seen.get(key);
  if (before !== undefined && before.dtype !== dtype) throw wrong(`the storage ${key} has two dtypes`);
  const made = before ?? new TorchStorage(dtype, count, file, entry.offset);
  seen.set(key, made);
  return made;
}
