// ONNX Runtime's profile of a session (WHORL_DEBUG=4) as tables: time by op, by line of the model, share in products.

import type { Node } from './graph.ts';
import { kindOfLine, lineOf } from './line.ts';

/** The part of the engine's Chrome-trace events that is used: microseconds. */
interface Event {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

export interface Spent {
  readonly op: string;
  readonly line: string;
  readonly product: boolean;
  /** Microseconds without what ran inside it (a loop's rounds). */
  self: number;
}

const KERNEL = '_kernel_time';
const MOST_LINES = 24;

/** Each node's own time. Nodes that ONNX Runtime made itself, by fusing ours, keep its name for them. */
export function spentByNode(json: string, origins: ReadonlyMap<string, Node>): Spent[] {
  const events = (JSON.parse(json) as Event[])
    .filter(({ cat, name }) => cat === 'Node' && name.endsWith(KERNEL))
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const spent: Spent[] = [];
  const open: { end: number; spent: Spent }[] = [];
  for (const { name, ts, dur, args } of events) {
    while (open.length > 0 && open.at(-1)!.end <= ts) open.pop();
    const around = open.at(-1);
    if (around) around.spent.self -= dur;
    const node = origins.get(name.slice(0, -KERNEL.length));
    const own: Spent = {
      op: node ? node.op.name : `${args?.op_name ?? '?'} (of the engine)`,
      line: node ? kindOfLine(lineOf(node)) : '(of the engine)',
      product: node?.op.flops !== undefined || /MatMul|Gemm/.test(args?.op_name ?? ''),
      self: dur,
    };
    spent.push(own);
    open.push({ end: ts + dur, spent: own });
  }
  return spent;
}

export function profileTables(json: string, origins: ReadonlyMap<string, Node>, title: string): string[] {
  const spent = spentByNode(json, origins);
  const total = sum(spent);
  const products = sum(spent.filter(({ product }) => product));
  const share = (us: number) => `${((100 * us) / Math.max(1, total)).toFixed(1).padStart(5)} %`;
  const rows = (key: (entry: Spent) => string): string[] => {
    const groups = new Map<string, Spent[]>();
    for (const entry of spent) groups.set(key(entry), [...(groups.get(key(entry)) ?? []), entry]);
    const sorted = [...groups].map(([name, entries]) => [name, sum(entries), entries.length] as const);
    sorted.sort((a, b) => b[1] - a[1]);
    const lines = sorted.map(
      ([name, us, count]) =>
        `  ${ms(us).padStart(10)} ms ${share(us)} ${String(count).padStart(7)} × ${name}`,
    );
    return lines.length > MOST_LINES
      ? [...lines.slice(0, MOST_LINES), `  … ${lines.length - MOST_LINES} more`]
      : lines;
  };
  return [
    `${title}: ${ms(total)} ms in nodes, ${share(products).trim()} of it in matrix products`,
    'by op',
    ...rows(({ op }) => op),
    'by line of the model',
    ...rows(({ line }) => line),
    '',
  ];
}

const sum = (spent: readonly Spent[]): number => spent.reduce((total, { self }) => total + self, 0);
const ms = (us: number): string => (us / 1000).toFixed(1);
