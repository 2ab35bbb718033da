// A token's way through sparse experts is the same bit for bit whatever other tokens there are. Numbers against
// transformers stand in golden.test.ts; these sizes are no multiples of a vector's.

import { expect, test } from 'vitest';
import { Graph } from '../../src/engine/graph.ts';
import { input } from '../../src/engine/ops/leaves.ts';
import { Program } from '../../src/engine/program.ts';
import type { Feed } from '../../src/engine/session.ts';
import { type ExpertsPart, expertShapes, throughExperts } from '../../src/models/blocks/experts.ts';
import { Shapes } from '../../src/models/blocks/linear.ts';
import { elements } from '../../src/tensor/tensor.ts';
import { uniform } from '../engine/op-examples.ts';

const E = 102;
const PART: ExpertsPart = {
  block: 'mlp',
  count: 6,
  perToken: 4,
  intermediate_size: 45,
  activation: 'silu',
  gate: 'gate_proj',
  up: 'up_proj',
  down: 'down_proj',
  normalised: true,
  shared: 27,
  sparse: () => true,
};

test('a token gives the same bits alone or among others', async () => {
  const next = uniform(7);
  const drawn = (shape: readonly number[]): Feed => ({
    shape,
    data: Float32Array.from({ length: elements(shape) }, () => next() / 8),
  });
  const table = new Shapes();
  expertShapes(PART, table, '', E);
  const graph = new Graph('experts');
  const weights = new Map(
    [...table.table].map(([name, shape]) => [name, input(graph, name, 'float32', shape)]),
  );
  const x = input(graph, 'x', 'float32', ['T', E]);
  graph.output(
    'y',
    throughExperts(PART, (name) => weights.get(name)!, '', x),
  );
  const program = await Program.compile(graph);
  const fixed = Object.fromEntries([...table.table].map(([name, shape]) => [name, drawn(shape)]));
  const T = 61;
  const rows = drawn([T, E]).data as Float32Array;
  const all = (await program.run({ ...fixed, x: { data: rows, shape: [T, E] } })).y!.data as Float32Array;
  for (const from of [0, 1, 30, T - 3]) {
    const some = rows.slice(from * E, (from + 3) * E);
    const { y } = await program.run({ ...fixed, x: { data: some, shape: [3, E] } });
    expect(y!.data).toEqual(all.slice(from * E, (from + 3) * E));
  }
  await program.release();
});
