// How fast a device multiplies: what `doctor` prints and estimates with, and what `--device auto` compares.

import { Graph } from './graph.ts';
import { input } from './ops/leaves.ts';
import { gemm } from './ops/matmul.ts';
import { sumAll } from './ops/shape.ts';
import { Program } from './program.ts';
import { cpu, type Device } from './session.ts';

const SIZE = { rows: 512, inner: 1024, columns: 1024 } as const;

/** Matrix products of this machine in FLOP a second, measured for `seconds` in products of a model's shape. */
export async function measureRate(device: Device = cpu, seconds = 0.3): Promise<number> {
  const { rows, inner, columns } = SIZE;
  const graph = new Graph('rate');
  const [a, b] = [
    input(graph, 'a', 'float32', [rows, inner]),
    input(graph, 'b', 'float32', [columns, inner]),
  ];
  graph.output('sum', sumAll(gemm(a, b, false, true))); // only a number leaves: large outputs cost a copy
  const program = await Program.compile(graph, undefined, device);
  try {
    const feeds = {
      a: { data: new Float32Array(rows * inner).fill(0.5), shape: [rows, inner] },
      b: { data: new Float32Array(columns * inner).fill(0.25), shape: [columns, inner] },
    };
    await program.run(feeds); // the first run allocates
    const started = performance.now();
    let fastest = Number.POSITIVE_INFINITY; // the machine's rate, not what other programs leave of it just now
    for (let before = started; before - started < 1000 * seconds; before = performance.now()) {
      await program.run(feeds);
      fastest = Math.min(fastest, performance.now() - before);
    }
    return (2 * rows * inner * columns) / (fastest / 1000);
  } finally {
    await program.release();
  }
}
