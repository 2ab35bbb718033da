// What `torch.save` wrote (.pt, zip format), without torch and without running it: tensors are checked views of
// the archive's records, modules are plain data. Formats: torch/serialization.py, torch/_utils.py.

import { realpathSync } from 'node:fs';
import { WhorlError } from '../../base/error.ts';
import { BYTES_PER_ELEMENT, type Dtype, elements, type TensorRef } from '../../tensor/tensor.ts';
import { type BoundedReader, withReader } from '../bounded-reader.ts';
import {
  Dict,
  Global,
  kindOf,
  List,
  Made,
  type PickleGlobal,
  type PickleValue,
  readPickle,
  Tuple,
  wrong,
} from './pickle.ts';
import { shown } from './safetensors.ts';
import { readStoredZip, type ZipEntry } from './zip.ts';

const MAX_PICKLE = 64 * 1024 * 1024; // bytes; the structure only, tensors lie in records of their own
const MAX_RANK = 16;

/** A tensor as a view of a storage; strides are in elements. */
export class TorchTensor extends Made {
  constructor(
    readonly storage: TorchStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {
    super();
  }
  get dtype(): Dtype {
    return this.storage.dtype;
  }
  /** Row-major without gaps: its bytes can be taken as they lie. */
  get contiguous(): boolean {
    let step = 1;
    for (let d = this.shape.length - 1; d >= 0; d--) {
      if (this.shape[d]! > 1 && this.stride[d] !== step) return false;
      step *= this.shape[d]!;
    }
    return true;
  }
  /** As file formats of ours name it. Throws `unsupported` for a view with gaps. */
  ref(name: string): TensorRef {
    if (!this.contiguous)
      throw new WhorlError('unsupported', `${name}: the tensor is a strided view`, 'save it .contiguous()');
    const size = BYTES_PER_ELEMENT[this.dtype];
    return {
      dtype: this.dtype,
      shape: this.shape,
      file: this.storage.file,
      offset: this.storage.at + this.offset * size,
      length: elements(this.shape) * size,
    };
  }
}

export class TorchStorage extends Made {
  constructor(
    readonly dtype: Dtype,
    readonly numel: number,
    readonly file: string,
    readonly at: number,
  ) {
    super();
  }
}

class TorchSet extends Made {}

/** Storage classes by their Python name; a dtype that stands here without ours is well-formed and not handled. */
const STORAGES: Readonly<Record<string, Dtype | null>> = {
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  IntStorage: 'int32',
  LongStorage: 'int64',
  BoolStorage: 'bool',
  ByteStorage: 'uint8',
  DoubleStorage: null,
  ShortStorage: null,
  CharStorage: null,
};
const DTYPES = [
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
];

const LEGACY = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');

/**
 * The value of a .pt file; `classes` are the Python classes that may occur, as plain data. Throws `bad-file` for
 * lies and damage, `unsupported` for other formats, opcodes and classes.
 */
export function readTorchFile(path: string, classes: readonly string[], name = path): PickleValue {
  return withReader(
    path,
    (reader) => {
      refuseOtherFormats(reader);
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

function refuseOtherFormats(reader: BoundedReader): void {
  const start = Buffer.from(reader.bytes(Math.min(512, reader.size), 'the first bytes'));
  const said = (format: string, fix: string) =>
    new WhorlError('unsupported', `${reader.name} is ${format}`, fix);
  const again = 'load it in Python on a machine you can lose, and save it with torch 1.6 or later';
  if (start.subarray(0, LEGACY.length).equals(LEGACY))
    throw said('in the old torch format (before 1.6)', again);
  if (start.subarray(257, 262).toString('latin1') === 'ustar')
    throw said('a tar archive (torch before 0.1.10)', again);
  if (start[0] === 0x80 && start[1]! <= 5)
    throw said('a bare pickle', 'Whorl reads the zip format of torch.save only');
  if (start.readUInt32LE && start.length >= 4 && start.readUInt32LE(0) !== 0x04034b50)
    throw new WhorlError('bad-file', `${reader.name} does not begin as a zip archive`);
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

function storageDtype(type: Global): Dtype {
  const name = type.name.replace(/^torch\./, '');
  const dtype = Object.hasOwn(STORAGES, name) ? STORAGES[name] : undefined;
  if (dtype === undefined) throw wrong(`${type.name} as the type of a storage`);
  if (dtype === null)
    throw new WhorlError('unsupported', `a ${type.name} in a .pt file`, 'convert the tensors to float32');
  return dtype;
}

function globals(classes: readonly string[]): ReadonlyMap<string, PickleGlobal> {
  const none: PickleGlobal = {};
  return new Map<string, PickleGlobal>([
    ...Object.keys(STORAGES).map((name) => [`torch.${name}`, none] as const),
    ...DTYPES.map((name) => [`torch.${name}`, none] as const),
    ...classes.map((name) => [name, { instance: true }] as const),
    ['torch.Size', { call: (args) => new Tuple(tupleArgument(args)) }],
    ['collections.OrderedDict', { call: orderedDict }],
    ['__builtin__.set', { call: setOf }],
    ['builtins.set', { call: setOf }],
    ['torch._utils._rebuild_tensor_v2', { call: rebuildTensor }],
    ['torch._utils._rebuild_parameter', { call: rebuildParameter }],
  ]);
}

function orderedDict(args: readonly PickleValue[]): Dict {
  if (args.length > 0) throw wrong('OrderedDict with arguments');
  return new Dict();
}

function setOf(args: readonly PickleValue[]): TorchSet {
  if (args.length !== 1 || !(args[0] instanceof List)) throw wrong('set of something else than a list');
  return new TorchSet();
}

function tupleArgument(args: readonly PickleValue[]): readonly PickleValue[] {
  if (args.length !== 1 || !(args[0] instanceof Tuple)) throw wrong('wrong arguments');
  return args[0].items;
}

function rebuildParameter(args: readonly PickleValue[]): TorchTensor {
  const [tensor, requiresGrad, hooks] = args;
  if (
    args.length !== 3 ||
    !(tensor instanceof TorchTensor) ||
    typeof requiresGrad !== 'boolean' ||
    !(hooks instanceof Dict) ||
    hooks.entries.size > 0
  )
    throw wrong('wrong arguments for a parameter');
  return tensor;
}

function rebuildTensor(args: readonly PickleValue[]): TorchTensor {
  const [from, offset, size, stride, requiresGrad, hooks, metadata] = args;
  if (
    args.length < 6 ||
    args.length > 7 ||
    !(from instanceof TorchStorage) ||
    !(size instanceof Tuple) ||
    !(stride instanceof Tuple) ||
    typeof requiresGrad !== 'boolean' ||
    !(hooks instanceof Dict) ||
    hooks.entries.size > 0 ||
    (metadata !== undefined && !(metadata instanceof Dict))
  )
    throw wrong('wrong arguments for a tensor');
  const at = wholeOf(offset, 'the offset of a tensor');
  const shape = size.items.map((value) => wholeOf(value, 'a dimension'));
  const steps = stride.items.map((value) => wholeOf(value, 'a stride'));
  if (shape.length !== steps.length || shape.length > MAX_RANK)
    throw wrong(`${shape.length} dimensions and ${steps.length} strides`);
  let count = 1;
  let last = at;
  for (const [d, dim] of shape.entries()) {
    count *= dim;
    last += (dim - 1) * steps[d]!;
    // Without this a stride of zero makes a terabyte of one number.
    if (shape.every((size) => size > 0) && (count > from.numel || last >= from.numel))
      throw wrong(`a tensor of shape [${shape.join(', ')}] reaches beyond its storage of ${from.numel}`);
  }
  if (at > from.numel || (shape.length === 0 && at >= from.numel))
    throw wrong(`a tensor at ${at} lies beyond its storage of ${from.numel}`);
  return new TorchTensor(from, at, shape, steps);
}

function wholeOf(value: PickleValue | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw wrong(`${what} is ${value === undefined ? 'missing' : shown(kindOf(value))}, not a whole number`);
  return value;
}
