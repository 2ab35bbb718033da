// Half-precision weights while decoding: cast in every round or copied before the first, the same bits; which of them,
// by free memory (goldens/models/make.py).

import { afterEach, describe, expect, test, vi } from 'vitest';
import * as memory from '../../src/base/memory.ts';
import { type Graph, reachable } from '../../src/engine/graph.ts';
import { loopOf } from '../../src/engine/ops/loop.ts';
import { Program } from '../../src/engine/program.ts';
import type { Precision } from '../../src/engine/session.ts';
import { graphListeners } from '../../src/engine/watch.ts';
import { GREEDY } from '../../src/lm/choose.ts';
import { copiedBytes, decodeGraph } from '../../src/lm/decode-graph.ts';
import { BatchDecoder } from '../../src/lm/decoder.ts';
import { fullSampling } from '../../src/lm/sampling.ts';
import type { Model } from '../../src/models/model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { elements } from '../../src/tensor/tensor.ts';
import { goldenOf, HALF_MODELS, openGolden } from '../models/golden-models.ts';

function load(name: string): {
  model: Model;
  golden: { input_ids: number[][]; source_ids?: number[][]; generated: number[][] };
} {
  return {
    model: openGolden(name),
    golden: goldenOf(name),
  };
}

/** Tokens, and every tensor that left the engine: tokens, keys and values. */
async function decoded(name: string, precision: Precision) {
  const { model, golden } = load(name);
  const run = vi.spyOn(Program.prototype, 'run');
  const decoder = new BatchDecoder(model, undefined, { provider: 'cpu', precision });
  const requests = golden.input_ids.map((tokens, i) => ({
    tokens: model.decoder.encoder ? [model.decoder.encoder.start] : tokens, // transformers generates from there
    ...(golden.source_ids && { source: golden.source_ids[i]! }),
    variant: VANILLA,
    sampling: fullSampling({}),
    uniforms: [new Float32Array(0)],
  }));
  const tokens = await decoder.decode(GREEDY, requests, {
    maxNewTokens: 24, // more than a run has rounds, where stop strings are looked for: caches come out
    ends: [],
    stopped: async (running) => running.map(() => false),
  });
  const out = await Promise.all(run.mock.results.map(({ value }) => value as ReturnType<Program['run']>));
  await decoder.release();
  run.mockRestore();
  return { tokens: tokens.map(([all]) => all!), out, golden };
}

/** Bytes of the casts of whole weights before the loop, and how many products of its body cast their weights. */
function castsOf(graph: Graph): { copied: number; inside: number } {
  const nodes = reachable(
    graph.outputs.map(({ value }) => value),
    graph,
  );
  const loop = nodes.map(loopOf).find((found) => found)!;
  const body = reachable(loop.outputs, loop.body);
  const used = new Set(body.flatMap(({ inputs }) => inputs));
  const copies = nodes.filter(
    ({ op, inputs, outputs }) =>
      op.name === 'cast' &&
      inputs[0]!.node.op.name === 'weight' &&
      inputs[0]!.rank === 2 &&
      used.has(outputs[0]!),
  );
  return {
    copied: copies.reduce((sum, { outputs }) => sum + 4 * elements(outputs[0]!.shape as number[]), 0),
    inside: body.filter(({ op }) => op.name === 'cast_gemm').length,
  };
}

afterEach(() => vi.restoreAllMocks());

describe.each(HALF_MODELS)('%s', (name) => {
  test('stored and float32 give the same bits, and transformers’ tokens', async () => {
    const [stored, float32] = [await decoded(name, 'stored'), await decoded(name, 'float32')];
    expect(stored.out.length).toBeGreaterThan(1);
    expect(Object.keys(stored.out[0]!).some((output) => output.startsWith('new_keys'))).toBe(true);
    expect(stored.out).toEqual(float32.out);
    stored.golden.generated.forEach((wanted, i) =>
      expect(stored.tokens[i]!.slice(0, wanted.length)).toEqual(wanted.slice(0, 24)),
    );
  });

  test('stored copies nothing before the loop; float32 copies what it is counted to', () => {
    const { model } = load(name);
    const float32 = castsOf(decodeGraph(model, undefined, GREEDY));
    expect(float32).toEqual({ copied: copiedBytes(model), inside: 0 });
    const stored = castsOf(decodeGraph(model, undefined, GREEDY, true));
    expect(stored.copied).toBe(0);
    const { shapes, embedding, head, positionTable, scores, encoder } = model.decoder;
    const linear = [...shapes].filter(
      ([n, { length }]) =>
        length === 2 &&
        n !== embedding &&
        n !== head &&
        n !== positionTable &&
        n !== scores?.relative?.table &&
        !encoder?.ofSources(n),
    );
    expect(stored.inside).toBe(linear.length + 1); // and the head
  });

  test('auto: copies where memory has room for them', async () => {
    const { model } = load(name);
    const inside = async (free: number): Promise<number> => {
      vi.spyOn(memory, 'freeMemory').mockReturnValue(free);
      let found: Graph | undefined;
      const listen = (graph: Graph) => (found = graph);
      graphListeners.add(listen);
      const decoder = new BatchDecoder(model, undefined, { provider: 'cpu' });
      const request = {
        tokens: [1, 2],
        ...(model.decoder.encoder && { source: [3, 1] }),
        variant: VANILLA,
        sampling: fullSampling({}),
        uniforms: [new Float32Array(0)],
      };
      await decoder.decode(GREEDY, [request], { maxNewTokens: 2, ends: [] });
      await decoder.release();
      graphListeners.delete(listen);
      return castsOf(found!).inside;
    };
    expect(await inside(2 * copiedBytes(model))).toBe(0);
    expect(await inside(copiedBytes(model))).toBeGreaterThan(0);
  });
});

test('float32 weights are never copied', () => {
  expect(copiedBytes(load('llama-gqa').model)).toBe(0);
});
