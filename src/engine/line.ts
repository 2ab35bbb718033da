// Which line of the model a node belongs to, as people read it: the weight it multiplies by, or what `Graph.within` named.

import type { Node, Value } from './graph.ts';
import type { OpName } from './op-name.ts';
import { nameOfWeight } from './ops/leaves.ts';
import { loopOf } from './ops/loop.ts';

const BACKWARD = ' (backward)';
/** Ops that hand a weight on: what uses their result uses the weight. */
const HANDED_ON: ReadonlySet<OpName> = new Set(['cast', 'transpose']);

/** `layers.3.self_attn.q_proj`, followed by ` (backward)` for a part of its gradient; `–` where nothing was named. */
export function lineOf(node: Node): string {
  const backward = node.line.endsWith(BACKWARD);
  const around = backward ? node.line.slice(0, -BACKWARD.length) : node.line;
  const named = loopOf(node)
    ? undefined
    : (nameOfWeight(node) ?? node.inputs.map(weightBehind).find((name) => name !== undefined));
  const module = named === undefined ? '' : moduleOf(named);
  // A weight narrows the line it stands in; a tied head is used outside its own.
  const line = around === '' || module.startsWith(`${around}.`) ? module || around : around;
  return (line === '' ? '–' : line) + (backward ? BACKWARD : '');
}

/** What autodiff names the nodes of a node's gradient. */
export const backwardLine = (node: Node): string => {
  const line = lineOf(node);
  return line.endsWith(BACKWARD) ? line : line + BACKWARD;
};

/** `model.layers.3.mlp.up_proj.weight` → `layers.3.mlp.up_proj`. */
const moduleOf = (weight: string): string => weight.replace(/^model\./, '').replace(/\.(weight|bias)$/, '');

/** Layers together: `layers.*.mlp.up_proj`. */
export const kindOfLine = (line: string): string => line.replace(/\.\d+(?=\.|$|\s)/g, '.*');

function weightBehind({ node }: Value): string | undefined {
  return nameOfWeight(node) ?? (HANDED_ON.has(node.op.name) ? weightBehind(node.inputs[0]!) : undefined);
}
