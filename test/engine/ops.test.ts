// One test over every op's examples: what comes out against numpy and torch (goldens/ops), the shape rule against
// run-time shapes, the gradient against central differences.

import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { gradients } from '../../src/engine/autodiff.ts';
import { Graph, type Node, type Op, type OpExample, reachable, type Value } from '../../src/engine/graph.ts';
import { add, cast, equal, mul } from '../../src/engine/ops/arithmetic.ts';
import { input, scalar, weight } from '../../src/engine/ops/leaves.ts';
import { loopOf } from '../../src/engine/ops/loop.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import { OPS } from '../../src/engine/ops.ts';
import { Program } from '../../src/engine/program.ts';
import type { Device, Feed } from '../../src/engine/session.ts';
import { elements } from '../../src/tensor/tensor.ts';
import { type Drawn, drawn, uniform } from './op-examples.ts';

/** `npm run test:webgpu` runs this file on another provider. */
const device: Device = { provider: (process.env.WHORL_TEST_PROVIDER ?? 'cpu') as Device['provider'] };
/** Of a number's size, at least of 1: another order of the same sums, another exponential. */
const TOLERANCE = device.provider === 'cpu' ? 2e-6 : 1e-4;

interface Golden {
  readonly attrs: unknown;
  readonly inputs: readonly Drawn[];
  readonly outputs: readonly (Omit<Drawn, 'data'> & { readonly data: readonly (number | null)[] })[];
}
const goldens = JSON.parse(
  readFileSync(new URL('../../goldens/ops/golden.json', import.meta.url), 'utf8'),
) as { readonly ops: Readonly<Record<string, readonly Golden[]>> };

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'whorl-ops-')));
afterAll(() => rmSync(scratch, { recursive: true }));

const feedOf = ({ dtype, shape, data }: Drawn): Feed => ({
  shape,
  data:
    dtype === 'float32'
      ? Float32Array.from(data)
      : dtype === 'bool' || dtype === 'uint8'
        ? Uint8Array.from(data)
        : Int32Array.from(data),
});

/** The golden has float32 numbers in as few digits as say which they are. */
const rounded = ({ dtype, shape, data }: Drawn) => ({
  dtype,
  shape,
  data: dtype === 'float32' ? data.map(Math.fround) : data,
});

/** The example as a graph: its inputs fed, or lying in a file, and all that comes out of its call. */
function built(op: Op, { call, attrs }: OpExample, inputs: readonly Drawn[]) {
  const graph = new Graph(op.name);
  const feeds: Record<string, Feed> = {};
  const values = inputs.map((drawn, i) => {
    const { dtype, shape, stored } = drawn;
    if (!stored) {
      feeds[`x${i}`] = feedOf(drawn);
      return input(graph, `x${i}`, dtype, shape);
    }
    const file = join(scratch, `${op.name}-${dtype}-${i}`);
    writeFileSync(file, stored);
    return weight(graph, { dtype, shape, file, offset: 0, length: stored.length });
  });
  const types = values.map(({ type }) => type);
  const outs = call ? call(values, graph) : graph.add(op, values, attrs, op.infer(types, attrs));
  outs.forEach((out, i) => graph.output(`out${i}`, out));
  return { graph, feeds, values, outs };
}

/** Nodes of the graph and of the bodies of its loops. */
const everyNode = (values: readonly Value[]): Node[] =>
  reachable(values).flatMap((node) => [node, ...everyNode(loopOf(node)?.outputs ?? [])]);

async function checkValues(op: Op, example: OpExample, inputs: readonly Drawn[], golden: Golden) {
  const asked = { attrs: golden.attrs, inputs: golden.inputs.map(rounded) };
  expect(asked, 'the golden is of another example').toEqual({
    attrs: example.attrs ?? {},
    inputs: inputs.map(rounded),
  });
  const { graph, feeds, outs } = built(op, example, inputs);
  expect(everyNode(outs).map((node) => node.op.name)).toContain(op.name);
  const program = await Program.compile(graph, scratch, device);
  const results = await program.run(feeds);
  await program.release();
  expect(outs.length).toBe(golden.outputs.length);
  golden.outputs.forEach(({ dtype, shape, data }, i) => {
    const [out, result] = [outs[i]!, results[`out${i}`]!];
    expect(out.dtype).toBe(dtype);
    expect(out.rank).toBe(shape.length);
    // What the shape rule calls by a name, the run decides.
    expect(out.shape.map((dim, axis) => (typeof dim === 'string' ? shape[axis] : dim))).toEqual(shape);
    expect([...result.shape]).toEqual(shape);
    expect(result.data.length).toBe(data.length);
    data.forEach((wanted, k) => {
      if (wanted === null) return; // padding, which holds nothing defined
      const off = Math.abs(Number(result.data[k]) - wanted);
      const allowed = dtype === 'float32' ? TOLERANCE * Math.max(1, Math.abs(wanted)) : 0;
      expect(off, `output ${i}, element ${k}: ${result.data[k]}, not ${wanted}`).toBeLessThanOrEqual(allowed);
    });
  });
}

/** Indices of the inputs that can be moved a little. */
const floatsOf = (inputs: readonly Drawn[]): number[] =>
  inputs.flatMap(({ dtype, stored }, i) => (dtype === 'float32' && !stored ? [i] : []));

async function checkGradient(op: Op, example: OpExample, inputs: readonly Drawn[], seed: number) {
  const { graph, feeds, values, outs } = built(op, example, inputs);
  const wanted = typeof op.gradient === 'string' ? [] : (example.differentiate ?? floatsOf(inputs));
  if (wanted.length === 0) return;
  const next = uniform(seed);
  // Against a direction, so that no two elements have the same cotangent.
  const directed = outs
    .filter((out) => out.dtype === 'float32')
    .map((out, i) => {
      const shape = out.shape as readonly number[];
      feeds[`direction${i}`] = { shape, data: Float32Array.from({ length: elements(shape) }, next) };
      return sumAll(mul(out, input(graph, `direction${i}`, 'float32', shape)));
    });
  const loss = directed.reduce((a, b) => add(a, b));
  graph.output('loss', loss);
  const wrt = wanted.map((i) => values[i]!);
  gradients(loss, wrt).forEach((g, n) => graph.output(`grad${wanted[n]}`, g));
  const program = await Program.compile(graph, scratch, device);
  const base = await program.run(feeds);
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

test('the record has every op that was ever answered', () => {
  expect(Object.keys(OPS).sort()).toEqual(Object.keys(goldens.ops).sort());
});

describe('every op', () => {
  for (const [name, op] of Object.entries(OPS)) {
    test(name, async () => {
      expect(op.name).toBe(name);
      expect(op.examples.length).toBeGreaterThan(0);
      expect(goldens.ops[name]?.length, 'an answer of goldens/ops/make.py to each example').toBe(
        op.examples.length,
      );
      for (const [place, example] of op.examples.entries()) {
        const inputs = drawn(example, place);
        await checkValues(op, example, inputs, goldens.ops[name]![place]!);
        await checkGradient(op, example, inputs, place + 100);
      }
    });
  }
});

test('an op with a gradient is differentiated in one of its examples at least', () => {
  for (const { name, gradient, examples } of Object.values(OPS)) {
    if (typeof gradient === 'string') continue;
    const inputs = examples.map((example, place) => floatsOf(drawn(example, place)));
    if (inputs.every((floats) => floats.length === 0)) continue; // leaves of the graph
    const checked = examples.some(({ differentiate }, i) => (differentiate ?? inputs[i]!).length > 0);
    expect(checked, name).toBe(true);
  }
});

test('no gradient is silently wrong: an op without one refuses', () => {
  const graph = new Graph('g');
  const x = input(graph, 'x', 'float32', [3]);
  expect(() => gradients(sumAll(cast(equal(x, scalar(graph, 0)), 'float32')), [x])).toThrow(
    /equal has no gradient/,
  );
});
