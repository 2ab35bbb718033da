// Graphs as ONNX protobuf (onnx.proto, IR version 10): the only file that knows the wire format.

import { relative, sep } from 'node:path';
import { assert } from '../base/error.ts';
import { type Dim, type Dtype, elements, type TensorRef } from '../tensor/tensor.ts';
import {
  type Attribute,
  type Body,
  type Emission,
  type Graph,
  type Node,
  reachable,
  type Type,
  type Value,
  valueName,
} from './graph.ts';

const DATA_TYPE: Readonly<Record<Dtype, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
};
const OPSETS = [
  ['', 21],
  ['com.microsoft', 1],
] as const;

// -- protobuf: varints, tags, length-delimited fields --------------------------------------------------------

class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;
  #push(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
  #varint(value: number | bigint): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    const out: number[] = [];
    do {
      const low = Number(rest & 127n);
      rest >>= 7n;
      out.push(rest > 0n ? low | 128 : low);
    } while (rest > 0n);
    return this.#push(Uint8Array.from(out));
  }
  int(field: number, value: number | bigint): this {
    return this.#varint(field << 3).#varint(value);
  }
  float(field: number, value: number): this {
    return this.#varint((field << 3) | 5).#push(new Uint8Array(Float32Array.of(value).buffer));
  }
  bytes(field: number, value: Uint8Array | string | Message): this {
    const bytes =
      value instanceof Message
        ? value.finish()
        : typeof value === 'string'
          ? new TextEncoder().encode(value)
          : value;
    return this.#varint((field << 3) | 2)
      .#varint(bytes.length)
      .#push(bytes);
  }
  finish(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

const typedArray = (dtype: Dtype, data: readonly number[]): Uint8Array => {
  if (dtype === 'int64') return new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
  if (dtype === 'int32') return new Uint8Array(Int32Array.from(data).buffer);
  if (dtype === 'float32') return new Uint8Array(Float32Array.from(data).buffer);
  if (dtype === 'bool' || dtype === 'uint8') return Uint8Array.from(data);
  throw new Error(`whorl: internal: no constants of ${dtype}`);
};

function tensorProto(name: string, dtype: Dtype, shape: readonly number[]): Message {
  const tensor = new Message();
  for (const dim of shape) tensor.int(1, dim);
  return tensor.int(2, DATA_TYPE[dtype]).bytes(8, name);
}

function valueInfo(name: string, type: Type): Message {
  const shape = new Message();
  for (const dim of type.shape)
    shape.bytes(1, typeof dim === 'number' ? new Message().int(1, dim) : new Message().bytes(2, dim));
  const tensor = new Message().int(1, DATA_TYPE[type.dtype]).bytes(2, shape);
  return new Message().bytes(1, name).bytes(2, new Message().bytes(1, tensor));
}

/** What someone who looks inside wants of an emission; left out, nothing is recorded and no node added. */
export interface Inspection {
  /** ONNX node's name → the node it was emitted for. */
  readonly origins: Map<string, Node>;
  /** Filled with the nodes that the further output `FINITE` tells of: 0 where all values are finite, else NaN or, in a loop, the rounds where some were not. */
  readonly probed?: Node[];
}

export const FINITE = 'whorl_finite';
const STACKED = 'stacked_probes';

// -- emission ------------------------------------------------------------------------------------------------

export class Emitter implements Emission {
  readonly #names: Map<Value, string>;
  readonly #initializers: Map<string, Message>;
  readonly #nodes: Message[] = [];
  readonly #dims = new Map<string, string>();
  readonly #root: Graph;
  readonly #weightsFolder: string | undefined;
  readonly #depth: number;
  readonly #inspection: Inspection | undefined;
  #at: Node | undefined;
  /** Vectors of this scope's probes, and the name under which a loop hands out those of its rounds. */
  readonly #probes: string[] = [];
  #roundProbes: string | undefined;
  nodeCount = 0;

  constructor(root: Graph, weightsFolder: string | undefined, inspection?: Inspection, outer?: Emitter) {
    this.#inspection = inspection;
    this.#root = root;
    this.#weightsFolder = weightsFolder;
    this.#depth = outer ? outer.#depth + 1 : 0;
    this.#names = new Map(outer ? outer.#names : []);
    this.#initializers = outer ? outer.#initializers : new Map();
  }

  name(value: Value): string {
    let name = this.#names.get(value);
    if (name === undefined)
      this.#names.set(value, (name = valueName(value, value.node.outputs.indexOf(value))));
    return name;
  }
  setName(value: Value, name: string): void {
    this.#names.set(value, name);
  }

  node(
    type: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): void {
    const node = new Message();
    const attached = Object.entries(attributes).map(([name, value]) => this.#attribute(name, value));
    for (const input of inputs) node.bytes(1, input);
    for (const output of outputs) node.bytes(2, output);
    if (this.#roundProbes !== undefined) node.bytes(2, this.#roundProbes);
    this.#roundProbes = undefined;
    node.bytes(3, outputs[0]!).bytes(4, type);
    for (const attribute of attached) node.bytes(5, attribute);
    if (this.#at) this.#inspection?.origins.set(outputs[0]!, this.#at);
    if (domain !== '') node.bytes(7, domain);
    this.#nodes.push(node);
    this.nodeCount++;
  }

  #attribute(name: string, value: Attribute): Message {
    const message = new Message().bytes(1, name);
    if (typeof value === 'number') return message.int(3, value).int(20, 2);
    if (typeof value === 'string') return message.bytes(4, value).int(20, 3);
    if ('float' in value) return message.float(2, value.float).int(20, 1);
    if ('graph' in value) return message.bytes(6, this.#body(value)).int(20, 5);
    for (const item of value) message.int(8, item);
    return message.int(20, 7);
  }

  #body(body: Body): Message {
    const inner = new Emitter(this.#root, this.#weightsFolder, this.#inspection, this);
    const proto = inner.#emit(body.outputs, body.graph);
    if (inner.#probes.length > 0) this.#probes.push((this.#roundProbes = this.fresh(STACKED)));
    for (const input of body.inputs) proto.bytes(11, valueInfo(inner.name(input), input.type));
    this.nodeCount += inner.nodeCount;
    return proto;
  }

  constant(dtype: Dtype, shape: readonly number[], data: readonly number[]): string {
    assert(data.length === elements(shape), `constant of ${data.length} values for shape [${shape}]`);
    const short = data.length <= 8;
    const name = short ? `c_${dtype}_${shape.join('x')}_${data.join('_')}` : `c_${this.#initializers.size}`;
    if (!this.#initializers.has(name))
      this.#initializers.set(name, tensorProto(name, dtype, shape).bytes(9, typedArray(dtype, data)));
    return name;
  }

  weight(name: string, ref: TensorRef): void {
    assert(this.#weightsFolder !== undefined, 'a graph with weights needs their folder');
    const location = relative(this.#weightsFolder, ref.file).split(sep).join('/');
    assert(!location.startsWith('..'), `weights outside their folder: ${ref.file}`);
    const tensor = tensorProto(name, ref.dtype, ref.shape);
    const entries = { location, offset: String(ref.offset), length: String(ref.length) };
    for (const [key, value] of Object.entries(entries))
      tensor.bytes(13, new Message().bytes(1, key).bytes(2, value));
    this.#initializers.set(name, tensor.int(14, 1));
  }

  shapeVector(shape: readonly Dim[]): string {
    if (shape.every((dim) => typeof dim === 'number')) return this.constant('int64', [shape.length], shape);
    const name = this.fresh('shape');
    this.node(
      'Concat',
      shape.map((dim) => this.dim(dim)),
      [name],
      { axis: 0 },
    );
    return name;
  }

  /** An int64 [1] holding one dimension: a number, a symbol, or a product such as `3*S`. */
  dim(dim: Dim): string {
    if (typeof dim === 'number') return this.constant('int64', [1], [dim]);
    const known = this.#dims.get(dim);
    if (known) return known;
    const name = this.fresh('dim');
    const factors = dim.split('*');
    if (factors.length > 1) {
      const [head, ...tail] = factors.map((factor) =>
        this.dim(/^\d+$/.test(factor) ? Number(factor) : factor),
      );
      this.node('Mul', [head!, tail.length > 1 ? this.dim(factors.slice(1).join('*')) : tail[0]!], [name]);
    } else {
      const holder = this.#root.inputs.find(({ value }) => value.shape.includes(dim));
      assert(holder, `no graph input has the dimension ${dim}`);
      const axis = holder.value.shape.indexOf(dim);
      this.node('Shape', [holder.name], [name], { start: axis, end: axis + 1 });
    }
    this.#dims.set(dim, name);
    return name;
  }

  #fresh = 0;
  fresh(stem: string): string {
    // A body's names must differ from those of every scope around it.
    return `${stem}_${this.#depth === 0 ? 'r' : 'b'.repeat(this.#depth)}${this.#fresh++}_${this.#nodes.length}`;
  }

  #emit(outputs: readonly Value[], scope: Graph): Message {
    for (const node of reachable(outputs, scope)) this.#apply(node);
    const proto = new Message();
    outputs.forEach((value) => {
      // An output may be an input or an outer value passed through: ONNX wants a node of this graph to make it.
      const name = this.fresh('out');
      this.node('Identity', [this.name(value)], [name]);
      proto.bytes(12, valueInfo(name, value.type));
    });
    this.#joinProbes(proto, this.fresh('probes'));
    for (const node of this.#nodes) proto.bytes(1, node);
    return proto.bytes(2, scope.name);
  }

  #apply(node: Node): void {
    this.#at = node;
    node.op.emit(this, node);
    this.#at = undefined;
    const { probed } = this.#inspection ?? {};
    const last = this.#probes.at(-1);
    if (last?.startsWith(STACKED)) {
      // A loop's probes come as [rounds, n]: in how many rounds was a value not finite?
      const [bad, ones, sum] = [this.fresh('bad'), this.fresh('ones'), this.fresh('rounds')];
      this.node('IsNaN', [last], [bad]);
      this.node('Cast', [bad], [ones], { to: DATA_TYPE.float32 });
      this.node('ReduceSum', [ones, this.constant('int64', [1], [0])], [sum], { keepdims: 0 });
      this.#probes[this.#probes.length - 1] = sum;
    }
    if (!probed) return;
    for (const value of node.outputs) {
      if (value.dtype !== 'float32' || node.inputs.length === 0) continue;
      // x − x is 0 where x is finite and NaN elsewhere.
      const [zero, sum, probe] = [this.fresh('zero'), this.fresh('sum'), this.fresh('finite')];
      this.node('Sub', [this.name(value), this.name(value)], [zero]);
      this.node('ReduceSum', [zero], [sum], { keepdims: 0 });
      this.node('Unsqueeze', [sum, this.constant('int64', [1], [0])], [probe]);
      this.#probes.push(probe);
      probed.push(node);
    }
  }

  /** This scope's probes as one vector, a further output. */
  #joinProbes(proto: Message, name: string): void {
    if (this.#probes.length === 0) return;
    this.node('Concat', this.#probes, [name], { axis: 0 });
    proto.bytes(12, valueInfo(name, { dtype: 'float32', shape: [`${name}_count`] }));
  }

  /** The whole model. Graph outputs keep the names they were given. */
  static model(
    graph: Graph,
    weightsFolder: string | undefined,
    inspection?: Inspection,
  ): { bytes: Uint8Array; nodeCount: number } {
    const emitter = new Emitter(graph, weightsFolder, inspection);
    for (const { name, value } of graph.inputs) emitter.setName(value, name);
    const values = graph.outputs.map(({ value }) => value);
    for (const node of reachable(values)) if (node.scope === graph) emitter.#apply(node);
    const proto = new Message();
    for (const { name, value } of graph.outputs) {
      emitter.node('Identity', [emitter.name(value)], [name]);
      proto.bytes(12, valueInfo(name, value.type));
    }
    emitter.#joinProbes(proto, FINITE);
    for (const node of emitter.#nodes) proto.bytes(1, node);
    proto.bytes(2, graph.name);
    for (const initializer of emitter.#initializers.values()) proto.bytes(5, initializer);
    for (const { name, value } of graph.inputs) proto.bytes(11, valueInfo(name, value.type));
    const model = new Message().int(1, 10).bytes(2, 'whorl').bytes(7, proto);
    for (const [domain, version] of OPSETS) model.bytes(8, new Message().bytes(1, domain).int(2, version));
    return { bytes: model.finish(), nodeCount: emitter.nodeCount };
  }
}
