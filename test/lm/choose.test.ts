// Sampling against transformers' logits processors: which token a uniform number draws, just inside both edges of
// each token's share (goldens/sampling/make.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Graph, reachable } from '../../src/engine/graph.ts';
import { input, scalar } from '../../src/engine/ops/leaves.ts';
import { Program } from '../../src/engine/program.ts';
import { GREEDY, type Strategy, sampled, strategyOf } from '../../src/lm/choose.ts';
import { type FullSampling, fullSampling, uniforms } from '../../src/lm/sampling.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';

const root = new URL('../../goldens/sampling/', import.meta.url).pathname;

interface Case {
  logits: string;
  temperature: number;
  top_k?: number;
  top_p?: number;
  repetition_penalty?: number;
  kept: number;
  uniforms: number[];
  tokens: number[];
}
const golden = JSON.parse(readFileSync(join(root, 'golden.json'), 'utf8')) as {
  seen: number[];
  cases: Case[];
};
const { tensors } = readSafetensorsHeader(join(root, 'golden.safetensors'));
const floats = (name: string): Float32Array => readTensor(tensors.get(name)!).data;

interface Asked {
  logits: Float32Array;
  sampling: FullSampling;
  u: number;
}

async function choose(strategy: Strategy, rows: readonly Asked[]): Promise<number[]> {
  const V = rows[0]!.logits.length;
  const graph = new Graph('choose');
  const logits = input(graph, 'logits', 'float32', ['B', V]);
  const { start, choose } = strategy.build(graph, 'B', V);
  graph.output('column', choose(logits, scalar(graph, 0, 'int32'), start).column);
  const program = await Program.compile(graph);
  const data = new Float32Array(rows.length * V);
  rows.forEach((row, b) => data.set(row.logits, b * V));
  const choosers = rows.map(({ sampling, u }) => ({
    sampling,
    uniforms: Float32Array.of(u),
    seen: golden.seen,
  }));
  const out = await program.run({
    logits: { data, shape: [rows.length, V] },
    ...strategy.feeds(choosers, V, 1),
  });
  await program.release();
  return [...(out.column!.data as Int32Array)];
}

const settingsOf = ({ temperature, top_k = 0, top_p = 1, repetition_penalty = 1 }: Case): FullSampling =>
  fullSampling({ temperature, top_k, top_p, repetition_penalty });

test('all columns are sorted within the loop that runs only where few do not decide', () => {
  const graph = new Graph('choose');
  const { start, choose } = sampled(false).build(graph, 'B', 99);
  const { column } = choose(input(graph, 'logits', 'float32', ['B', 99]), scalar(graph, 0, 'int32'), start);
  const sorts = reachable([column]).filter(({ op }) => op.name === 'top');
  expect(sorts.map(({ outputs }) => outputs[0]!.shape)).toEqual([['B', 'C']]);
});

describe('tokens drawn from transformers’ distributions', () => {
  test.each(
    golden.cases.map((entry, i) => [JSON.stringify({ ...entry, uniforms: i, tokens: i }), entry] as const),
  )('%s', async (_, entry) => {
    const rows = entry.uniforms.map((u) => ({
      logits: floats(entry.logits),
      sampling: settingsOf(entry),
      u,
    }));
    expect(await choose(sampled('repetition_penalty' in entry), rows)).toEqual(entry.tokens);
    // The strategy that knows of a penalty draws the same where there is none.
    if (!('repetition_penalty' in entry)) expect(await choose(sampled(true), rows)).toEqual(entry.tokens);
  });

  test('rows of all settings in one batch, each as in its own', async () => {
    const all = golden.cases.flatMap((entry) =>
      entry.uniforms.slice(0, 6).map((u, i) => ({
        row: { logits: floats(entry.logits), sampling: settingsOf(entry), u },
        token: entry.tokens[i]!,
      })),
    );
    const got = await choose(
      sampled(true),
      all.map(({ row }) => row),
    );
    expect(got).toEqual(all.map(({ token }) => token));
  });
});

test('temperature 0 takes the first of the most probable, whatever the uniform number', async () => {
  const logits = new Float32Array(600).fill(-1);
  logits[70] = logits[90] = 2;
  const rows = [0, 0.5, 0.999].map((u) => ({ logits, sampling: fullSampling(undefined), u }));
  expect(await choose(sampled(false), rows)).toEqual([70, 70, 70]);
  expect(await choose(GREEDY, rows)).toEqual([70, 70, 70]);
});

test('the cheapest strategy that does what is asked', () => {
  expect(strategyOf(fullSampling(undefined)).name).toBe('greedy');
  expect(strategyOf(fullSampling({ temperature: 1, top_k: 3 })).name).toBe('sampled');
  expect(strategyOf(fullSampling({ repetition_penalty: 1.1 })).name).toBe('penalised');
});

test('settings out of range are named', () => {
  for (const bad of [
    { temperature: -1 },
    { top_k: 1.5 },
    { top_p: 0 },
    { top_p: 1.1 },
    { repetition_penalty: 0 },
  ])
    expect(() => fullSampling(bad)).toThrow(new RegExp(Object.keys(bad)[0]!));
});

test('uniform numbers depend on seed, request and sample alone, and are spread evenly', () => {
  expect(uniforms(1, 2, 3, 50)).toEqual(uniforms(1, 2, 3, 80).subarray(0, 50));
  const others = [
    uniforms(0, 2, 3, 50),
    uniforms(1, 3, 2, 50),
    uniforms(1, 2, 4, 50),
    uniforms(12, 3, 0, 50),
  ];
  for (const other of others) expect(other).not.toEqual(uniforms(1, 2, 3, 50));
  const many = uniforms(5, 0, 0, 20_000);
  const counts = new Array<number>(10).fill(0);
  for (const u of many) counts[Math.floor(u * 10)]!++;
  // Chi-squared with nine degrees of freedom: above 33 once in ten thousand seeds.
  expect(counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)).toBeLessThan(33);
});
