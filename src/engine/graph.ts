// Values and the graph they hang in: what an op is given, and what autodiff, emission and listings walk.

import { assert } from '../base/error.ts';
import type { Dim, Dtype, TensorRef } from '../tensor/tensor.ts';
import type { Op } from './op.ts';

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
