// The layout of torch.save before 1.6 (still written on request): pickles one after another, then the storages' bytes.
// Format: torch/serialization.py, `_legacy_save`.

import { WhorlError } from '../../base/error.ts';
import { BYTES_PER_ELEMENT } from '../../tensor/tensor.ts';
import type { BoundedReader } from '../bounded-reader.ts';
import {
  Dict,
  Global,
  List,
  type PickleGlobal,
  type PickleRules,
  type PickleValue,
  readPickleAtStart,
  wrong,
} from './pickle.ts';
import { storageDtype, TorchStorage, wholeOf } from './torch-tensor.ts';

/** A pickle of torch's magic number, which such a file begins with. */
export const LEGACY = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');

const MAX_PICKLES = 64 * 1024 * 1024; // bytes; the structure only, as in zip files

/** The value of the file; `file` is where its tensors lie. @throws WhorlError `bad-file`, `unsupported` */
export function readLegacy(
  reader: BoundedReader,
  globals: ReadonlyMap<string, PickleGlobal>,
  file: string,
): PickleValue {
  const bad = (message: string) => new WhorlError('bad-file', `${reader.name}: ${message}`, 'fetch it again');
  reader.position = LEGACY.length;
  const start = reader.bytes(Math.min(MAX_PICKLES, reader.size) - LEGACY.length, 'the pickles');
  const storages = new Map<string, TorchStorage>();
  let at = 0;
  const next = (what: string, rules: Pick<PickleRules, 'globals' | 'persistent'>): PickleValue => {
    const { value, length } = readPickleAtStart(start.subarray(at), {
      name: `${reader.name}: ${what}`,
      ...rules,
    });
    at += length;
    return value;
  };
  const plain = {
    globals: new Map<string, PickleGlobal>(),
    persistent: (): never => {
      throw wrong('a persistent id');
    },
  };
  const version = next('the version', plain);
  if (version !== 1001) throw bad(`the version is ${String(version)}, where torch writes 1001`);
  const system = next('the system', plain);
  if (!(system instanceof Dict) || system.entries.get('little_endian') !== true)
    throw new WhorlError('unsupported', `${reader.name}: written on a big-endian machine`);
  const value = next('the data', { globals, persistent: (id) => storageOf(id, storages, file) });
  const keys = next('the storages', plain);
  if (!(keys instanceof List)) throw bad('no list of storages');
  let position = LEGACY.length + at;
  const placed = new Set<PickleValue>();
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (storage === undefined || placed.has(key)) throw bad('the list of storages does not fit the data');
    placed.add(key);
    reader.position = position;
    const count = Number(reader.u64(`the size of storage ${placed.size}`));
    if (count !== storage.numel)
      throw bad(`storage ${placed.size} has ${count} elements, not ${storage.numel}`);
    storage.at = position + 8;
    position = storage.at + count * BYTES_PER_ELEMENT[storage.dtype];
    if (position > reader.size) throw bad(`ends within storage ${placed.size}`);
  }
  if (placed.size !== storages.size) throw bad(`${storages.size - placed.size} storages are missing`);
  if (position !== reader.size) throw bad(`${reader.size - position} bytes after the last storage`);
  return value;
}

function storageOf(id: readonly PickleValue[], seen: Map<string, TorchStorage>, file: string): TorchStorage {
  const [kind, type, key, location, numel, view] = id;
  if (kind !== 'storage' || !(type instanceof Global) || typeof location !== 'string' || id.length > 6)
    throw wrong('a persistent id that is no storage');
  if (typeof key !== 'string' || !/^\d{1,20}$/.test(key)) throw wrong('a storage key that is no number');
  if ((view ?? null) !== null)
    throw new WhorlError(
      'unsupported',
      'a view of a storage, as torch before 0.4 wrote them',
      'save it anew',
    );
  const dtype = storageDtype(type);
  const count = wholeOf(numel, 'the size of a storage');
  const made = seen.get(key) ?? new TorchStorage(dtype, count, file, 0);
  if (made.dtype !== dtype || made.numel !== count)
    throw wrong(`the storage ${key} is described in two ways`);
  seen.set(key, made);
  return made;
}
