// Gradients with 1,024 rows, many repeated indices and two threads: the same bits in twenty runs, and the right sums.

import { expect, test } from 'vitest';
import { gradients } from '../../src/engine/autodiff.ts';
import { Graph, type Value } from '../../src/engine/graph.ts';
import { mul } from '../../src/engine/ops/arithmetic.ts';
import { gather } from '../../src/engine/ops/gather.ts';
import { input } from '../../src/engine/ops/leaves.ts';
import { gemm, linear } from '../../src/engine/ops/matmul.ts';
import { logSoftmax, rmsNorm, softmax, takeLast } from '../../src/engine/ops/normalise.ts';
import { oneHot, sumAll } from '../../src/engine/ops/shape.ts';
import { Program } from '../../src/engine/program.ts';
import type { Feed } from '../../src/engine/session.ts';
import { gaussian } from '../../src/train/noise.ts';

const T = 1024;
const V = 100;
const E = 48;
const floats = (seed: number, shape: number[]): Feed => ({
  data: gaussian(
    seed,
    shape.reduce((a, b) => a * b, 1),
  ),
  shape,
});
const index: Feed = {
  data: Int32Array.from({ length: T }, (_, i) => ((i * i) % 7 === 0 ? 3 : (i * 31) % V)),
  shape: [T],
};

/** Each case: a value of table [V, E], ids [T] and x [T, E] whose gradient is taken. */
const CASES: Record<string, (table: Value, ids: Value, x: Value) => Value> = {
  gather: (table, ids) => gather(table, ids),
  'one-hot rows': (table, ids) => gemm(oneHot(ids, V), table),
  linear: (table, _ids, x) => linear(x, table),
  'rms norm': (table, ids) => rmsNorm(gather(table, ids), input(table.scope, 'gamma', 'float32', [E]), 1e-5),
  softmax: (table, ids, x) => softmax(mul(gather(table, ids), x)),
  'labels of a head': (table, ids, x) => takeLast(logSoftmax(linear(x, table)), ids),
};

test.each(Object.keys(CASES))('%s', async (name) => {
  const graph = new Graph(name);
  const table = input(graph, 'table', 'float32', [V, E]);
  const ids = input(graph, 'ids', 'int32', ['T']);
  const x = input(graph, 'x', 'float32', ['T', E]);
  const out = CASES[name]!(table, ids, x);
  const loss = sumAll(mul(out, input(graph, 'direction', 'float32', out.shape)));
  const wrt = name === 'labels of a head' || name === 'linear' || name === 'softmax' ? [table, x] : [table];
  graph.output('out', out);
  graph.output('loss', loss);
  gradients(loss, wrt).forEach((g, i) => graph.output(`grad${i}`, g));
  const program = await Program.compile(graph, undefined, { provider: 'cpu', threads: 2 });
  const shape = out.shape.map((dim) => (dim === 'T' ? T : (dim as number)));
  const feeds = {
    table: floats(1, [V, E]),
    ids: index,
    x: floats(2, [T, E]),
    direction: floats(3, shape),
    gamma: floats(4, [E]),
  };
  const first = await program.run(feeds);
  for (let run = 0; run < 19; run++) {
    const again = await program.run(feeds);
    for (const [key, { data }] of Object.entries(first))
      expect(Buffer.compare(bytes(again[key]!), bytes({ data, shape: [] })), `${key}, run ${run + 2}`).toBe(
        0,
      );
  }
  if (name === 'gather') {
    // The sums themselves, in double precision.
    const grad = first.grad0!.data as Float32Array;
    const direction = feeds.direction.data as Float32Array;
    const exact = new Float64Array(V * E);
    (index.data as Int32Array).forEach((id, t) => {
      for (let e = 0; e < E; e++) exact[id * E + e]! += direction[t * E + e]!;
    });
    exact.forEach((sum, i) => expect(Math.abs(grad[i]! - sum)).toBeLessThan(1e-3));
  }
  await program.release();
});

const bytes = ({ data }: Feed): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
