// A graph as text, one line an op: name, op and inputs, type, line of the model. For people and for diffs.

import type { Dim } from '../tensor/tensor.ts';
import { type Graph, type Node, reachable, type Value, valueName } from './graph.ts';
import { lineOf } from './line.ts';
import type { OpName } from './op-name.ts';
import { loopOf } from './ops/loop.ts';

export interface ListingOptions {
  /**
   * `onnx`: names as in the emitted graph and in profiles (`gemm_12`). `stable`: counted within each line of the model
   * (`layers.0.mlp/gemm.1`), so that a change in one line leaves the others' text as it is.
   */
  readonly names: 'onnx' | 'stable';
}

const MOST = 8;

export function listing(graph: Graph, { names }: ListingOptions): string {
  const nameOf = NAMERS[names]();
  const lines: string[] = [`graph ${graph.name}`, ''];
  for (const { name, value } of graph.inputs) lines.push(`input ${name}: ${typeText(value)}`);
  lines.push('');
  const list = (values: readonly Value[], within: Graph, indent: string): void => {
    for (const node of reachable(values, within)) {
      if (INLINE[node.op.name]) continue;
      const outputs = node.outputs.map((value) => nameOf(value)).join(', ');
      const inputs = node.inputs.map((value) => operand(value, nameOf)).join(', ');
      const types = node.outputs.map(typeText).join(', ');
      const line = names === 'onnx' ? `  # ${lineOf(node)}` : '';
      lines.push(`${indent}${outputs} = ${node.op.name}(${inputs})${attributes(node)}: ${types}${line}`);
      const loop = loopOf(node);
      if (!loop) continue;
      list(loop.outputs, loop.body, `${indent}  `);
      lines.push(`${indent}  yields ${loop.outputs.map((value) => operand(value, nameOf)).join(', ')}`);
    }
  };
  list(
    graph.outputs.map(({ value }) => value),
    graph,
    '',
  );
  lines.push('');
  for (const { name, value } of graph.outputs)
    lines.push(`output ${name} = ${operand(value, nameOf)}: ${typeText(value)}`);
  return `${lines.join('\n')}\n`;
}

type Namer = (value: Value) => string;

const NAMERS: Readonly<Record<ListingOptions['names'], () => Namer>> = {
  onnx: () => (value) => valueName(value, value.node.outputs.indexOf(value)),
  stable: () => {
    const counts = new Map<string, number>();
    const numbers = new Map<Node, string>();
    return (value) => {
      const { node } = value;
      let name = numbers.get(node);
      if (name === undefined) {
        const stem = `${lineOf(node).replace(' (backward)', '′')}/${node.op.name}`;
        counts.set(stem, (counts.get(stem) ?? 0) + 1);
        numbers.set(node, (name = `${stem}.${counts.get(stem)}`));
      }
      return node.outputs.length === 1 ? name : `${name}:${node.outputs.indexOf(value)}`;
    };
  },
};

/** Values without a line of their own: what they are stands where they are used. */
const INLINE: Readonly<Partial<Record<OpName, (attrs: never, value: Value) => string | undefined>>> = {
  input: ({ name }: { name: string }) => name,
  weight: ({ name, offset }: { name?: string; offset: number }) => name ?? `weight@${offset}`,
  constant: ({ data, shape }: { data: readonly number[]; shape: readonly number[] }) =>
    data.length > MOST
      ? `constant[${shape.join(', ')}]`
      : shape.length === 0
        ? `${data[0]}`
        : `[${data.join(', ')}]`,
  loop_variable: () => undefined,
};

function operand(value: Value, nameOf: Namer): string {
  const { node } = value;
  return INLINE[node.op.name]?.(node.attrs as never, value) ?? nameOf(value);
}

const typeText = ({ type }: Value): string => `${type.dtype} ${shapeText(type.shape)}`;
const shapeText = (shape: readonly Dim[]): string => `[${shape.join(', ')}]`;

/** Settings of an op: numbers, flags and lists of them. */
function attributes({ attrs, op }: Node): string {
  if (typeof attrs !== 'object' || attrs === null || op.name === 'loop') return '';
  const parts = Object.entries(attrs).flatMap(([name, value]: [string, unknown]) => {
    if (value === false || value === undefined) return [];
    if (value === true) return [name];
    if (typeof value === 'number' || typeof value === 'string') return [`${name}=${value}`];
    if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
      return [`${name}=[${value.join(', ')}]`];
    return [];
  });
  return parts.length === 0 ? '' : ` {${parts.join(' ')}}`;
}
