// Decoding on tiny models: whole continuations drawn from transformers' distributions, and that neither the batch nor
// the borders of runs change what a request gets (goldens/sampling/make.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { counters, cpu } from '../../src/engine/session.ts';
import { strategyOf } from '../../src/lm/choose.ts';
import type { SampleRequest } from '../../src/lm/decode-request.ts';
import { BatchDecoder } from '../../src/lm/decoder.ts';
import { fullSampling, uniforms } from '../../src/lm/sampling.ts';
import { bindModel } from '../../src/models/model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';

const root = new URL('../../goldens/', import.meta.url).pathname;
interface Chain {
  model: string;
  temperature: number;
  top_k?: number;
  top_p?: number;
  repetition_penalty?: number;
  prompt: number[];
  uniforms: number[];
  tokens: number[];
}
const { chains } = JSON.parse(readFileSync(join(root, 'sampling', 'golden.json'), 'utf8')) as {
  chains: Chain[];
};

function decoderOf(name: string): BatchDecoder {
  const model = bindModel({ ...openCheckpoint(join(root, 'models', name)), source: name });
  return new BatchDecoder(model, undefined, cpu);
}

const requestOf = (chain: Chain): SampleRequest => ({
  tokens: chain.prompt,
  variant: VANILLA,
  sampling: fullSampling({
    temperature: chain.temperature,
    top_k: chain.top_k ?? 0,
    top_p: chain.top_p ?? 1,
    repetition_penalty: chain.repetition_penalty ?? 1,
  }),
  uniforms: [Float32Array.from(chain.uniforms)],
});

describe.each([...new Set(chains.map(({ model }) => model))])('%s', (name) => {
  const decoder = decoderOf(name);
  afterAll(() => decoder.release());
  const own = chains.filter(({ model }) => model === name);
  const options = { maxNewTokens: 20, ends: [] };
  const unstopped = { ...options, stopped: async (rows: readonly unknown[]) => rows.map(() => false) };

  test('every setting in one batch, by one session a strategy: transformers’ tokens', async () => {
    const before = counters.compiled;
    const strategies = new Map<string, Chain[]>();
    for (const chain of own) {
      const { name } = strategyOf(requestOf(chain).sampling);
      strategies.set(name, [...(strategies.get(name) ?? []), chain]);
    }
    expect([...strategies.keys()].sort()).toEqual(['penalised', 'sampled']);
    for (const batch of strategies.values()) {
      const requests = batch.map(requestOf);
      const strategy = strategyOf(requests[0]!.sampling);
      const expected = batch.map(({ tokens }) => [tokens]);
      expect(await decoder.decode(strategy, requests, options)).toEqual(expected);
      // Left and taken up again every few tokens.
      expect(await decoder.decode(strategy, requests, unstopped)).toEqual(expected);
      expect(await decoder.decode(strategy, requests.slice(3, 4), unstopped)).toEqual(expected.slice(3, 4));
    }
    expect(counters.compiled - before).toBe(2);
  });

  test('samples of a prompt are those it has alone, whatever its batch', async () => {
    const sampling = fullSampling({ temperature: 1.2, seed: 9 });
    const draws = (request: number) => [0, 1, 2].map((sample) => uniforms(9, request, sample, 12));
    const requests = own
      .slice(0, 4)
      .map(({ prompt }, i) => ({ tokens: prompt, variant: VANILLA, sampling, uniforms: draws(i) }));
    const strategy = strategyOf(sampling);
    const twelve = { maxNewTokens: 12, ends: [] };
    const together = await decoder.decode(strategy, requests, twelve);
    expect(new Set(together.flat().map(String)).size).toBeGreaterThan(9);
    const [alone] = await decoder.decode(strategy, requests.slice(2, 3), twelve);
    expect(alone).toEqual(together[2]);
    const single = { ...requests[2]!, uniforms: requests[2]!.uniforms.slice(1, 2) };
    expect(await decoder.decode(strategy, [single], twelve)).toEqual([[together[2]![1]]]);
  });

  test('ends: each continuation ends by itself; with half of them ended the rest goes on in a smaller batch', async () => {
    const sampling = fullSampling(undefined);
    const strategy = strategyOf(sampling);
    const requests = own
      .slice(0, 4)
      .map(({ prompt }) => ({ tokens: prompt, variant: VANILLA, sampling, uniforms: [new Float32Array(0)] }));
    const whole = (await decoder.decode(strategy, requests, { maxNewTokens: 90, ends: [] })).map(([t]) => t!);
    // A token that ends two of them early and another one late or never.
    const places = (token: number) =>
      whole.map((tokens) => tokens.indexOf(token)).map((at) => (at < 0 ? 90 : at));
    const early = (token: number) => places(token).filter((at) => at < 20).length;
    const end = whole.flat().find((token) => early(token) >= 2 && places(token).some((at) => at > 30));
    expect(end).toBeDefined();
    const cut = await decoder.decode(strategy, requests, { maxNewTokens: 90, ends: [end!] });
    expect(cut.map(([tokens]) => tokens)).toEqual(whole.map((tokens, i) => tokens.slice(0, places(end!)[i])));
  });
});
