// The geometry rows are trained in: steps are made small where ordinary hidden states are large, so that a tied head's
// logits hardly move on text, seen or unseen, while the input side keeps its freedom.

import { Graph } from '../engine/graph.ts';
import { mul, sub } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { gemm } from '../engine/ops/matmul.ts';
import { Program } from '../engine/program.ts';
import type { Device } from '../engine/session.ts';

/** Ordinary positions: what the model holds there and what each counts. */
export interface Positions {
  readonly count: number;
  /** [N, E] */
  readonly hidden: Float32Array;
  /** Weight of each position; they sum to 1. */
  readonly weight: Float32Array;
}

/** Enough for condition numbers up to 10⁵; beyond its convergence the iteration stays where it is. */
const ITERATIONS = 26;

/**
 * M = √ε · (C + εI)^(−1/2) with C the weighted second moment of hidden states [E, E]: a change Δ = z·M moves ordinary
 * logits by at most √ε·‖z‖ in root mean square. By the coupled Newton-Schulz iteration (Higham 2008, section 6.7).
 * @param share ε as a share of the mean variance of a coordinate, tr C / E
 */
export async function trainingMetric(
  { hidden, weight, count }: Positions,
  E: number,
  share: number,
  device: Device,
): Promise<Float32Array> {
  const graph = new Graph('metric');
  const states = input(graph, 'states', 'float32', ['N', E]);
  graph.output('moment', gemm(states, states, true, false));
  const moments = await Program.compile(graph, undefined, device);
  const scaled = hidden.map((x, i) => x * Math.sqrt(weight[Math.floor(i / E)]!));
  const moment = Float32Array.from(
    (await moments.run({ states: { data: scaled, shape: [count, E] } })).moment!.data as Float32Array,
  );
  await moments.release();
  const floor =
    (share * Array.from({ length: E }, (_, e) => moment[e * E + e]!).reduce((a, b) => a + b, 0)) / E;
  for (let e = 0; e < E; e++) moment[e * E + e]! += floor;
  const norm = Math.sqrt(moment.reduce((sum, x) => sum + x * x, 0));

  const iteration = new Graph('newton_schulz');
  const square = (name: string) => input(iteration, name, 'float32', [E, E]);
  let [y, z] = [square('y'), square('z')];
  const three = square('three'); // 3·I
  for (let i = 0; i < ITERATIONS; i++) {
    const t = mul(sub(three, gemm(z, y)), 0.5);
    [y, z] = [gemm(y, t), gemm(t, z)];
  }
  iteration.output('root', z);
  const program = await Program.compile(iteration, undefined, device);
  const identity = (scale: number) => {
    const data = new Float32Array(E * E);
    for (let e = 0; e < E; e++) data[e * E + e] = scale;
    return { data, shape: [E, E] };
  };
  const out = await program.run({
    y: { data: moment.map((x) => x / norm), shape: [E, E] },
    z: identity(1),
    three: identity(3),
  });
  const root = (out.root!.data as Float32Array).map((x) => x * Math.sqrt(floor / norm));
  await program.release();
  return root;
}

/** rows [R, E] · M [E, E] in float32. */
export function timesMetric(rows: Float32Array, metric: Float32Array, E: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let at = 0; at < rows.length; at += E) {
    const sum = new Float64Array(E);
    for (let k = 0; k < E; k++) {
      const x = rows[at + k]!;
      if (x !== 0) for (let e = 0; e < E; e++) sum[e]! += x * metric[k * E + e]!;
    }
    out.set(sum, at);
  }
  return out;
}
