// Reverse-mode differentiation: one walk over the nodes in reverse, each op's rule written in ops.
// Un-broadcasting and accumulation live here, so that no rule does them.

import { assert } from '../base/error.ts';
import { dimsEqual, type Node, reachable, type Value } from './graph.ts';
import { backwardLine } from './line.ts';
import { add } from './ops/arithmetic.ts';
import { constant } from './ops/leaves.ts';
import { after, reduceSum, reshape } from './ops/shape.ts';
import { joints, type Recompute, recomputed } from './recompute.ts';

/**
 * d(loss)/d(each of wrt), as values of the same graph. Rules may compute cotangents nobody asked for:
 * what no output needs is never emitted.
 * @param loss a float32 scalar
 * @param recompute what the backward pass computes again instead of keeping it
 * @throws when the loss does not depend on one of `wrt` differentiably
 */
export function gradients(loss: Value, wrt: readonly Value[], recompute: Recompute = 'nothing'): Value[] {
  assert(
    loss.rank === 0 && loss.dtype === 'float32',
    `a loss is a float32 scalar, not ${loss.dtype}[${loss.shape}]`,
  );
  const nodes = reachable([loss]);
  const active = dependents(nodes, wrt);
  const between = joints(nodes, active);
  const seen = recomputed(active, recompute, between);
  const wanted = new Set(wrt);
  let pending: Value[] = [];
  const cotangents = new Map<Value, Value>([[loss, constant(loss.scope.root, 'float32', [], [1])]]);

  for (const node of nodes.reverse()) {
    if (!active.has(node)) continue;
    // A block's own gradients come before the walk goes on: else the engine leaves them, and all they need, to the end.
    if (between.has(node)) {
      const [output] = node.outputs;
      const cotangent = cotangents.get(output!);
      if (cotangent) cotangents.set(output!, after(cotangent, pending));
      pending = [];
    }
    const outgoing = node.outputs.map((output) => cotangents.get(output));
    if (wrt.some((value) => value.node === node) || outgoing.every((cotangent) => cotangent === undefined))
      continue;
    const { gradient } = node.op;
    assert(typeof gradient === 'function', `${node.op.name} has no gradient`);
    loss.scope.root.line = backwardLine(node);
    const incoming = gradient(outgoing, seen(node, outgoing));
    assert(
      incoming.length === node.inputs.length,
      `${node.op.name}: ${incoming.length} cotangents for ${node.inputs.length} inputs`,
    );
    incoming.forEach((cotangent, i) => {
      const input = node.inputs[i]!;
      if (cotangent === undefined || !active.has(input.node)) return;
      const reduced = unbroadcast(cotangent, input);
      if (wanted.has(input)) pending.push(reduced);
      const before = cotangents.get(input);
      cotangents.set(input, before ? add(before, reduced) : reduced);
    });
  }
  return wrt.map((value) => {
    const cotangent = cotangents.get(value);
    assert(cotangent, 'the loss does not depend on this value');
    return cotangent;
  });
}

/** Nodes through which a change of `wrt` reaches the loss. */
function dependents(nodes: readonly Node[], wrt: readonly Value[]): Set<Node> {
  const active = new Set<Node>(wrt.map((value) => value.node));
  for (const node of nodes)
    if (node.op.gradient !== 'stop' && node.inputs.some((input) => active.has(input.node))) active.add(node);
  return active;
}

/** Sums a cotangent over the axes along which its input was broadcast. */
function unbroadcast(cotangent: Value, input: Value): Value {
  if (dimsEqual(cotangent.shape, input.shape)) return cotangent;
  const extra = cotangent.rank - input.rank;
  const axes = cotangent.shape.flatMap((dim, i) =>
    i < extra || (input.shape[i - extra] === 1 && dim !== 1) ? [i] : [],
  );
  const summed = reduceSum(cotangent, axes, true);
  return extra === 0 ? summed : reshape(summed, input.shape);
}
