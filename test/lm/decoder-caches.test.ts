// What a run of decoding is given and gives out of its caches: no more than was read, of the rows that go on alone.

import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Program } from '../../src/engine/program.ts';
import { cpu } from '../../src/engine/session.ts';
import { GREEDY } from '../../src/lm/choose.ts';
import type { SampleRequest } from '../../src/lm/decode-request.ts';
import { BatchDecoder } from '../../src/lm/decoder.ts';
import { fullSampling } from '../../src/lm/sampling.ts';
import { bindModel } from '../../src/models/model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';

const NAME = 'llama-gqa-tied-bf16';
const folder = new URL('../../goldens/models/', import.meta.url).pathname;
const prompts = [
  [5, 9, 14, 3],
  [7, 7],
  [2, 30, 4],
  [11, 6, 8, 1],
];
const requests: SampleRequest[] = prompts.map((tokens) => ({
  tokens,
  variant: VANILLA,
  sampling: fullSampling(undefined),
  uniforms: [new Float32Array(0)],
}));

test('caches begin as long as prompts are, and leave the engine for rows that go on alone', async () => {
  const model = bindModel({ ...openCheckpoint(join(folder, NAME)), source: NAME });
  const decoder = new BatchDecoder(model, undefined, cpu);
  const maxNewTokens = 40; // two looks for stop strings, and what is left
  const all = await decoder.decode(GREEDY, requests, { maxNewTokens, ends: [] });
  // A token that ends one of the texts in its first run.
  const early = all.map(([tokens]) => tokens!.slice(0, 17)); // one, and sixteen rounds
  const end = early.flat().find((token) => early.filter((tokens) => tokens.includes(token)).length === 1)!;
  expect(end).toBeDefined();
  const run = vi.spyOn(Program.prototype, 'run');
  const stopped = async (rows: readonly unknown[]) => rows.map(() => false);
  const cut = await decoder.decode(GREEDY, requests, { maxNewTokens, ends: [end], stopped });
  const results = await Promise.all(run.mock.results.map(({ value }) => value as ReturnType<Program['run']>));
  const fed = run.mock.calls.map(([feeds]) => feeds);
  run.mockRestore();
  await decoder.release();

  expect(cut.map(([tokens]) => tokens)).toEqual(
    all.map(([tokens]) => {
      const at = tokens!.indexOf(end);
      return at < 0 ? tokens : tokens!.slice(0, at);
    }),
  );
  const rowsOf = (tensors: Record<string, { shape: readonly number[] }>, name: string) =>
    tensors[name]!.shape[0];
  expect(fed[0]!.keys_0!.shape[2]).toBe(4); // the longest prompt
  expect(fed[0]!.room!.shape[2]).toBe(0);
  expect(rowsOf(results[0]!, 'new_keys_0')).toBe(3);
  expect(rowsOf(fed[1]!, 'keys_0')).toBe(3);
  expect(fed[1]!.keys_0!.data).toBe(results[0]!.new_keys_0!.data); // as they came out, not a copy
  expect(results.at(-1)!.new_keys_0).toBeUndefined();
});
