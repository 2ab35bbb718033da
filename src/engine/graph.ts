// Values, the graph they hang in, and what an op is: what autodiff, emission and listings walk.

import { assert } from '../base/error.ts';
import type { Dim, Dtype, TensorRef } from '../tensor/tensor.ts';
import type { OpName } from './op-name.ts';

export interface Type {
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
}

/** One application of an op. Nodes are numbered as they are made, so inputs always have smaller numbers. */
export interface Node {
  readonly id: number;
  readonly op: Op;
  readonly inputs: readonly Value[];
  readonly attrs: unknown;
  readonly outputs: readonly Value[];
  readonly scope: Graph;
  /** The line of the model that made it (`layers.3.self_attn`), as `Graph.within` said; for people alone. */
  readonly line: string;
}

/** One output of a node. Immutable; free functions of `ops/` make new ones. */
export class Value {
  constructor(
    readonly node: Node,
    readonly type: Type,
  ) {}
  get shape(): readonly Dim[] {
    return this.type.shape;
  }
  get dtype(): Dtype {
    return this.type.dtype;
  }
  get rank(): number {
    return this.type.shape.length;
  }
  get scope(): Graph {
    return this.node.scope;
  }
}

/** Cotangents of a node's outputs in, cotangents of its inputs out; `undefined` where an input has none. */
export type GradientRule<A> = (
  cotangents: readonly (Value | undefined)[],
  node: Node & { readonly attrs: A },
) => readonly (Value | undefined)[];

/** What an op is: its shape rule, its ONNX nodes, its gradient and examples to test it by, in one object. */
export interface Op<A = unknown> {
  readonly name: OpName;
  /** The shape rule. Throws when the inputs do not fit (our bug, never the user's). */
  readonly infer: (inputs: readonly Type[], attrs: A) => readonly Type[];
  readonly emit: (emission: Emission, node: Node & { readonly attrs: A }) => void;
  /** `'none'` (an error where one is asked for) is written, never left out; `'stop'`: a constant to the backward pass. */
  readonly gradient: 'none' | 'stop' | GradientRule<A>;
  readonly examples: readonly OpExample[];
  /** Multiplications and additions of a matrix product, sizes as a run has them; absent where an op has none. */
  readonly flops?: (inputs: readonly (readonly number[])[], attrs: A) => number;
  /** A matrix product: what it makes is worth keeping for the backward pass when the rest is computed again. */
  readonly heavy?: true;
}

/** A concrete call for the generic op test, which compares what comes out with another implementation. */
export interface OpExample {
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly dtype?: Dtype;
    /** Default: drawn between −1 and 1, or, `positive`, between 0.5 and 1.5. */
    readonly values?: readonly number[];
    readonly positive?: boolean;
    /** It lies in a file, as a checkpoint's weights do (float dtypes); default: it is fed. */
    readonly stored?: true;
  }[];
  /** The op's, or what the reference has to know of the call. */
  readonly attrs?: unknown;
  /** The call, where it takes more than inputs and `attrs`: a loop's body, ids as int64. Returns all that comes out. */
  readonly call?: (inputs: readonly Value[], graph: Graph) => readonly Value[];
  /** Indices of inputs the gradient is checked for; default: every float input that is fed. */
  readonly differentiate?: readonly number[];
}

/** What an op's `emit` writes with: ONNX nodes of the scope at hand, constants and weights of the whole model. */
export interface Emission {
  name(value: Value): string;
  setName(value: Value, name: string): void;
  /** Appends one ONNX node. An empty input name is an omitted optional input. */
  node(
    type: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    domain?: string,
  ): void;
  constant(dtype: Dtype, shape: readonly number[], data: readonly number[]): string;
  /** An initialiser whose bytes stay in the checkpoint's file, mapped by ONNX Runtime. */
  weight(name: string, ref: TensorRef): void;
  /** An int64 vector holding `shape` at run time; symbols are read off the first graph input that has them. */
  shapeVector(shape: readonly Dim[]): string;
  /** A name that no other value has. */
  fresh(stem: string): string;
}

export type Attribute = number | { float: number } | string | readonly number[] | Body;

/** The body of a control-flow node: a graph with its own inputs and outputs by name. */
export interface Body {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** A graph or, with a parent, the body of a loop: nodes may use values of their own scope and of outer ones. */
export class Graph {
  readonly inputs: { name: string; value: Value }[] = [];
  readonly outputs: { name: string; value: Value }[] = [];
  readonly depth: number;
  readonly root: Graph;
  #nextId = 0;
  readonly #weights = new Map<string, Value>();
  /** Of the root: the line that nodes made now belong to. */
  line = '';
  /**
   * Of the root: loops cast half-precision weights in each round, where they are used, and not once before the first.
   * A fraction of the memory, several times slower, the same bits.
   */
  castsInLoops = false;

  constructor(
    readonly name: string,
    readonly parent?: Graph,
  ) {
    this.depth = parent ? parent.depth + 1 : 0;
    this.root = parent?.root ?? this;
  }

  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  /** The value made by `make` for this key the first time: one initialiser for a weight, however often it is used. */
  once(key: string, make: () => Value): Value {
    let value = this.root.#weights.get(key);
    if (value === undefined) this.root.#weights.set(key, (value = make()));
    return value;
  }

  /** Nodes that `build` makes belong to this line of the model, unless it names a narrower one. */
  within<T>(line: string, build: () => T): T {
    const { root } = this;
    const before = root.line;
    root.line = line;
    try {
      return build();
    } finally {
      root.line = before;
    }
  }

  /** For `op.ts` alone: appends a node. */
  add(op: Op, inputs: readonly Value[], attrs: unknown, types: readonly Type[]): readonly Value[] {
    const outputs: Value[] = [];
    const { line } = this.root;
    const node: Node = { id: this.root.#nextId++, op, inputs, attrs, outputs, scope: this, line };
    for (const type of types) outputs.push(new Value(node, type));
    return outputs;
  }
}

/** The innermost scope among the inputs' scopes: where a node that uses them all must live. */
export function innermost(inputs: readonly Value[]): Graph {
  const [first, ...rest] = inputs;
  assert(first, 'an op without inputs is made through its graph');
  return rest.reduce((scope, value) => (value.scope.depth > scope.depth ? value.scope : scope), first.scope);
}

/** All nodes that `values` need, inputs before users. Values of outer scopes count when `within` is absent. */
export function reachable(values: readonly Value[], within?: Graph): Node[] {
  const seen = new Set<Node>();
  const stack = values.map((value) => value.node);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node) || (within && node.scope !== within)) continue;
    seen.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

export const dimsEqual = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

/** The value's name in the emitted graph; graph inputs and outputs have their own. */
export const valueName = ({ node }: Value, at: number): string =>
  `${node.op.name}_${node.id}${node.outputs.length > 1 ? `_${at}` : ''}`;

export const weightKey = (ref: TensorRef): string => `${ref.file}@${ref.offset}`;
