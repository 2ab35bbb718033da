// One test over every op's examples: shape rule against run-time shape, gradient against central differences.

import { describe, expect, test } from 'vitest';
import { gradients } from '../../src/engine/autodiff.ts';
import { Graph, type Value } from '../../src/engine/graph.ts';
import { OPS, type Op, type OpExample } from '../../src/engine/op.ts';
import '../../src/engine/ops/cached-attention.ts';
import '../../src/engine/ops/gather.ts';
import { input, scalar } from '../../src/engine/ops/leaves.ts';
import '../../src/engine/ops/loop.ts';
import '../../src/engine/ops/matmul.ts';
import '../../src/engine/ops/normalise.ts';
import { cast, mul } from '../../src/engine/ops/arithmetic.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import '../../src/engine/ops/sort.ts';
import { Program } from '../../src/engine/program.ts';
import type { Device, Feed } from '../../src/engine/session.ts';
import { elements } from '../../src/tensor/tensor.ts';

/** `npm run test:webgpu` runs this file on another provider. */
const device: Device = { provider: (process.env.WHORL_TEST_PROVIDER ?? 'cpu') as Device['provider'] };

/** Ops tested elsewhere, because one example in isolation says nothing. */
const ELSEWHERE = new Set([
  'input',
  'weight',
  'constant',
  'loop',
  'loop_variable',
  'cached_attention',
  'split',
  'unique',
  'iota_like',
  'put_rows',
]);

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

async function check(op: Op, example: OpExample, seed: number) {
  const next = random(seed);
  const graph = new Graph(op.name);
  const values = example.inputs.map(({ shape, dtype = 'float32' }, i) => input(graph, `x${i}`, dtype, shape));
  const feeds: Record<string, Feed> = {};
  example.inputs.forEach(({ shape, dtype = 'float32', values: given, positive }, i) => {
    const data =
      given ?? Array.from({ length: elements(shape) }, () => (positive ? Math.abs(next()) + 0.5 : next()));
    feeds[`x${i}`] = {
      shape,
      data:
        dtype === 'float32'
          ? Float32Array.from(data)
          : dtype === 'bool'
            ? Uint8Array.from(data)
            : Int32Array.from(data),
    };
  });
  const types = op.infer(
    values.map((v) => v.type),
    example.attrs,
  );
  const [out] = graph.add(op, values, example.attrs, types) as readonly [Value];
  graph.output('out', out);
  const wanted =
    typeof op.gradient === 'string'
      ? []
      : (example.differentiate ?? values.flatMap((v, i) => (v.dtype === 'float32' ? [i] : [])));
  if (wanted.length > 0) {
    const direction = input(graph, 'direction', 'float32', out.shape);
    const loss = sumAll(mul(cast(out, 'float32'), direction));
    graph.output('loss', loss);
    gradients(
      loss,
      wanted.map((i) => values[i]!),
    ).forEach((g, n) => graph.output(`grad${wanted[n]}`, g));
    feeds.direction = {
      shape: out.shape as number[],
      data: Float32Array.from({ length: elements(out.shape as number[]) }, next),
    };
  }
  const program = await Program.compile(graph, undefined, device);
  const base = await program.run(feeds);
  expect([...base.out!.shape]).toEqual([...out.shape]);
  for (const i of wanted) {
    const x = feeds[`x${i}`]!;
    const toward = Float32Array.from(x.data as Float32Array, next);
    const step = 1e-2;
    const at = async (sign: number) => {
      const data = Float32Array.from(x.data as Float32Array, (v, k) => v + sign * step * toward[k]!);
      return (await program.run({ ...feeds, [`x${i}`]: { ...x, data } })).loss!.data[0] as number;
    };
    const numeric = ((await at(1)) - (await at(-1))) / (2 * step);
    const grad = base[`grad${i}`]!;
    expect([...grad.shape]).toEqual([...x.shape]);
    const analytic = (grad.data as Float32Array).reduce((sum, g, k) => sum + g * toward[k]!, 0);
    expect(
      Math.abs(numeric - analytic),
      `${op.name} input ${i}: ${numeric} against ${analytic}`,
    ).toBeLessThan(2e-3 * Math.max(1, Math.abs(numeric)));
  }
  await program.release();
}

describe('every op', () => {
  for (const op of OPS.values()) {
    if (ELSEWHERE.has(op.name)) continue;
    test(op.name, async () => {
      expect(op.examples.length).toBeGreaterThan(0);
      let seed = 1;
      for (const example of op.examples) await check(op, example, seed++);
    });
  }
});

test('no gradient is silently wrong: an op without one refuses', () => {
  const graph = new Graph('g');
  const x = input(graph, 'x', 'float32', [3]);
  const none = graph.add(OPS.get('equal')!, [x, scalar(graph, 0)], undefined, [
    { dtype: 'bool', shape: [3] },
  ])[0]!;
  expect(() => gradients(sumAll(cast(none, 'float32')), [x])).toThrow(/equal has no gradient/);
});
