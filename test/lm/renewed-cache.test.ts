// Decoding over the length at which a cache is made anew: who decodes what, with which random numbers. That the text is
// transformers' is in test/models/golden.test.ts (phi3).

import { expect, test } from 'vitest';
import type { DecodeOptions, SampleRequest } from '../../src/lm/decode-request.ts';
import { decodeRenewing } from '../../src/lm/renewed-cache.ts';
import { fullSampling } from '../../src/lm/sampling.ts';
import { VANILLA } from '../../src/models/overlay.ts';

const request = (length: number, samples = 1): SampleRequest => ({
  tokens: Array.from({ length }, (_, i) => i),
  variant: VANILLA,
  sampling: fullSampling(undefined),
  uniforms: Array.from({ length: samples }, (_, s) => Float32Array.from({ length: 6 }, (_, i) => 10 * s + i)),
});

/** Gives each sample its own uniform numbers as tokens, and writes down the lengths it was asked with. */
function fake(asked: [length: number, most: number][]) {
  return async <R extends SampleRequest>(
    requests: readonly R[],
    { maxNewTokens, stopped }: DecodeOptions<R>,
  ) => {
    const rows = requests.flatMap((own) =>
      own.uniforms.map((u) => ({ request: own, tokens: [...u.subarray(0, maxNewTokens)] })),
    );
    const ended = (await stopped?.(rows)) ?? [];
    const made = rows.map(({ tokens }, i) => (ended[i] ? tokens.slice(0, 1) : tokens));
    return requests.map((own) => {
      asked.push([own.tokens.length, maxNewTokens]);
      return made.splice(0, own.uniforms.length);
    });
  };
}

test('each sequence is renewed at its own length, and goes on with its own random numbers', async () => {
  const asked: [number, number][] = [];
  const requests = [request(9), request(3, 2), request(4), request(1)];
  const out = await decodeRenewing(5, requests, { maxNewTokens: 5, ends: [] }, fake(asked));
  expect(out).toEqual([
    [[0, 1, 2, 3, 4]],
    [
      [0, 1, 2, 3, 4],
      [10, 11, 12, 13, 14],
    ],
    [[0, 1, 2, 3, 4]],
    [[0, 1, 2, 3, 4]],
  ]);
  // Of 9 tokens: all at once. Of 3 and 4: until they are 6. Of 1: 5 more make 6, which nothing follows.
  expect(asked).toEqual([
    [9, 5],
    [1, 5],
    [3, 3],
    [4, 2],
    [6, 2],
    [6, 2],
    [6, 3],
  ]);
});

test('whether a text has stopped is asked of all of it; what has ended is not renewed', async () => {
  const seen: number[] = [];
  const requests = [request(5), request(4)];
  const stopped: DecodeOptions<SampleRequest>['stopped'] = async (running) => {
    seen.push(...running.map(({ tokens }) => tokens.length));
    expect(running.every((row) => requests.includes(row.request))).toBe(true);
    return running.map(({ request: { tokens } }) => tokens.length === 4);
  };
  const asked: [number, number][] = [];
  const out = await decodeRenewing(5, requests, { maxNewTokens: 5, ends: [], stopped }, fake(asked));
  expect(out).toEqual([[[0, 1, 2, 3, 4]], [[0]]]);
  expect(seen).toEqual([1, 2, 5]);
});
