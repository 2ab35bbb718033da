// What torch's files hold, as plain data: tensors are checked views of storages. The globals that such a file may name,
// whichever way it is laid out. Source: torch/_utils.py.

import { WhorlError } from '../../base/error.ts';
import { BYTES_PER_ELEMENT, type Dtype, elements, type TensorRef } from '../../tensor/tensor.ts';
import {
  Dict,
  Global,
  kindOf,
  List,
  Made,
  type PickleGlobal,
  type PickleValue,
  Tuple,
  wrong,
} from './pickle.ts';
import { shown } from './safetensors.ts';

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
    /** Of its first byte; an old file says it only behind everything that names the storage. */
    public at: number,
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

export function storageDtype(type: Global): Dtype {
  const name = type.name.replace(/^torch\./, '');
  const dtype = Object.hasOwn(STORAGES, name) ? STORAGES[name] : undefined;
  if (dtype === undefined) throw wrong(`${type.name} as the type of a storage`);
  if (dtype === null)
    throw new WhorlError('unsupported', `a ${type.name} in a .pt file`, 'convert the tensors to float32');
  return dtype;
}

export function globals(classes: readonly string[]): ReadonlyMap<string, PickleGlobal> {
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
    ['torch._utils._rebuild_parameter_with_state', { call: rebuildWithState }],
    ['torch._tensor._rebuild_from_type_v2', { call: rebuildFromType }],
    ['torch.Tensor', none],
    ['torch.nn.parameter.Parameter', none],
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

/** A parameter that carries attributes of its own: they are no part of the tensor. */
function rebuildWithState(args: readonly PickleValue[]): TorchTensor {
  if (args.length !== 4) throw wrong('wrong arguments for a parameter with attributes');
  return rebuildParameter(args.slice(0, 3));
}

/** A tensor that carries attributes: how it would be made without them, and what of. */
function rebuildFromType(args: readonly PickleValue[]): PickleValue {
  const [made, type, own] = args;
  if (
    args.length !== 4 ||
    !(made instanceof Global) ||
    !REBUILDS.has(made.name) ||
    !(type instanceof Global) ||
    !TENSORS.has(type.name) ||
    !(own instanceof Tuple)
  )
    throw wrong('wrong arguments for a tensor with attributes');
  return made.does.call!(own.items);
}

const REBUILDS = new Set(['torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_parameter']);
const TENSORS = new Set(['torch.Tensor', 'torch.nn.parameter.Parameter']);

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

export function wholeOf(value: PickleValue | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw wrong(`${what} is ${value === undefined ? 'missing' : shown(kindOf(value))}, not a whole number`);
  return value;
}
