// A stack of blocks whose activations dwarf their weights; prints the peak RSS of one gradient with the mode named.

import { gradients } from '../../src/engine/autodiff.ts';
import { Graph, type Value } from '../../src/engine/graph.ts';
import { add, silu } from '../../src/engine/ops/arithmetic.ts';
import { input } from '../../src/engine/ops/leaves.ts';
import { linear } from '../../src/engine/ops/matmul.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import { Program } from '../../src/engine/program.ts';
import type { Recompute } from '../../src/engine/recompute.ts';

const [T, E, F, BLOCKS] = [2048, 32, 512, 16] as const;
const graph = new Graph('blocks');
let x: Value = input(graph, 'x', 'float32', ['T', E]);
const wrt: Value[] = [];
for (let i = 0; i < BLOCKS; i++) {
  const [up, down] = [input(graph, `up${i}`, 'float32', [F, E]), input(graph, `down${i}`, 'float32', [E, F])];
  wrt.push(up, down);
  x = add(x, linear(silu(linear(x, up)), down));
}
const loss = sumAll(x);
graph.output('loss', loss);
gradients(loss, wrt, process.argv[2] as Recompute).forEach((g, i) => graph.output(`g${i}`, g));
const program = await Program.compile(graph, undefined, { provider: 'cpu', threads: 1 });
const fill = (shape: number[], by: number) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => by * Math.sin(i)),
});
const feeds = Object.fromEntries(
  wrt.map(({ shape }, i) => [`${i % 2 ? 'down' : 'up'}${i >> 1}`, fill(shape as number[], 0.05)]),
);
const before = process.resourceUsage().maxRSS;
const out = await program.run({ ...feeds, x: fill([T, E], 1) });
const grown = (process.resourceUsage().maxRSS - before) / 1024;
process.stdout.write(JSON.stringify({ grown, gradient: [...(out.g0!.data as Float32Array).slice(0, 8)] }));
