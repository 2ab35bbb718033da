// Which results of the forward pass the backward pass computes again instead of keeping them: memory against time.

import type { Node, Value } from './graph.ts';
import { after } from './ops/shape.ts';

/** How much is computed again. The choice changes memory and time, never a gradient beyond the last bits. */
export type Recompute = 'nothing' | 'elementwise' | 'blocks';

/**
 * Whether a node's result is computed again. `nothing` keeps all; `elementwise` keeps the results of matrix products;
 * `blocks` keeps the joints between blocks alone (Chen et al. 2016).
 */
const AGAIN: Readonly<Record<Recompute, (node: Node) => boolean>> = {
  nothing: () => false,
  elementwise: (node) => !node.op.heavy,
  blocks: () => true,
};

/**
 * A node as gradient rules should see it: inputs and outputs that are not kept stand there as computed again from what
 * is kept, and not before a cotangent of the node is there: else the engine would compute them in the forward pass.
 * Copies are made once; those that no rule uses are never emitted.
 * @param active nodes that the differentiated values reach
 * @param kept of `joints`
 */
export function recomputed(
  active: ReadonlySet<Node>,
  mode: Recompute,
  kept: ReadonlySet<Node>,
): (node: Node, cotangents: readonly (Value | undefined)[]) => Node {
  if (mode === 'nothing') return (node) => node;
  const copies = new Map<Node, Node>();
  const late = new Map<Value, Value>();
  const again = (node: Node): boolean =>
    active.has(node) && node.inputs.length > 0 && !kept.has(node) && AGAIN[mode](node);
  const seen = (value: Value, cotangent: Value): Value =>
    again(value.node) ? copy(value.node, cotangent).outputs[value.node.outputs.indexOf(value)]! : value;
  const start = (value: Value, cotangent: Value): Value => {
    if (again(value.node) || !active.has(value.node)) return seen(value, cotangent);
    let made = late.get(value);
    if (!made) late.set(value, (made = after(value, [cotangent])));
    return made;
  };
  const copy = (node: Node, cotangent: Value): Node => {
    let made = copies.get(node);
    if (!made) {
      const types = node.outputs.map(({ type }) => type);
      const inputs = node.inputs.map((input) => start(input, cotangent));
      made = node.scope.add(node.op, inputs, node.attrs, types)[0]!.node;
      copies.set(node, made);
    }
    return made;
  };
  return (node, cotangents) => {
    const cotangent = cotangents.find((value) => value !== undefined)!;
    const view = (value: Value) => seen(value, cotangent);
    return { ...node, inputs: node.inputs.map(view), outputs: node.outputs.map(view) };
  };
}

/**
 * Nodes after which one value alone is all that the rest of the forward pass needs: the residual stream between blocks.
 * Only values whose size the run decides count; what comes from weights alone lives throughout.
 */
export function joints(nodes: readonly Node[], active: ReadonlySet<Node>): Set<Node> {
  const counts = (value: Value) =>
    active.has(value.node) && value.shape.some((dim) => typeof dim === 'string');
  const lastUse = new Map<Value, number>();
  const uses = new Map<Value, number>();
  for (const node of nodes)
    for (const input of node.inputs) {
      lastUse.set(input, node.id);
      uses.set(input, (uses.get(input) ?? 0) + 1);
    }
  const live = new Set<Value>();
  const found = new Set<Node>();
  for (const node of nodes) {
    if (!active.has(node)) continue;
    for (const value of node.outputs) if (counts(value) && lastUse.has(value)) live.add(value);
    for (const value of node.inputs) if (lastUse.get(value) === node.id) live.delete(value);
    const [only] = live;
    // In a chain (norm, pick, softmax) every node would be a joint: those that one more step makes again are not kept.
    const joins = node.inputs.filter((input) => counts(input)).length > 1;
    if (live.size === 1 && only!.node === node)
      if (joins || node.op.heavy || uses.get(only!)! > 1) found.add(node);
  }
  return found;
}
