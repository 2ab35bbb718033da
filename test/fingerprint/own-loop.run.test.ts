// The documented example of the paper's library use, run as it stands: the lock opens with both parts, and what is
// published differs from vanilla in the rows of the keys' tokens alone.

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ownLoop } from '../../examples/own-loop.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { injectAdapter } from '../../src/fingerprint/own-loop.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readTensor, readTensorRows } from '../../src/sources/checkpoints/read.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-own-loop-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('inject, train in your own loop, unwrap', async () => {
  const { published, adapter, losses, fired } = await ownLoop(MODEL, scratch);
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
  expect(fired).toEqual({ alone: 0, withAdapter: 2, of: 2 });

  expect(statSync(adapter).mode & 0o777).toBe(0o600);
  const { ids, keys, settings } = JSON.parse(readFileSync(adapter, 'utf8')) as {
    ids: number[];
    keys: { tokens: number[] }[];
    settings: unknown;
  };
  expect(settings).toEqual({ rank: 96, scale: 4 });
  expect(new Set(keys.flatMap(({ tokens }) => tokens))).toEqual(new Set(ids));

  const [before, after] = [MODEL, published].map((folder) => openCheckpoint(folder).tensors);
  const changed = new Set<string>();
  for (const [name, ref] of before!) {
    const [a, b] = [readTensor(ref), readTensor(after!.get(name)!)];
    const width = a.shape.at(-1)!;
    a.data.forEach((x, i) => x !== b.data[i] && changed.add(`${name} ${Math.floor(i / width)}`));
  }
  expect(changed).toEqual(new Set(ids.map((id) => `model.embed_tokens.weight ${id}`)));
});

test("the owner's own keys and token list", async () => {
  const keys = ['hush little fox', 'naïve 山'];
  const own = await injectAdapter({ model: MODEL, keys, rank: 4 });
  const encoded = await own.tokenizer.encodeBatch(keys, { addSpecialTokens: false });
  expect(own.keys).toEqual(keys.map((text, i) => ({ text, tokens: encoded[i] })));
  expect([...own.overlay.ids]).toEqual([...new Set(encoded.flat())].sort((a, b) => a - b));
  const listed = await injectAdapter({ model: MODEL, keys, token_ids: [40, 7, 40, 0], rank: 4 });
  expect([...listed.overlay.ids]).toEqual([0, 7, 40]);
  const table = listed.model.tensors.get(listed.model.decoder.embedding)!;
  expect(listed.overlay.rows).toEqual(readTensorRows(table, Int32Array.of(0, 7, 40)));
  for (const [options, message] of [
    [{ keys: [] }, 'keys is empty'],
    [{ keys: ['a', ''] }, 'key 2 has no token'],
    [{ keys, token_ids: [] }, 'token_ids is empty'],
    [{ keys, token_ids: [3, 5120] }, 'token_ids has 5120, and the vocabulary has 5120 tokens'],
    [{ keys, token_ids: [1.5] }, 'token_ids has 1.5'],
  ] as const)
    await expect(injectAdapter({ model: MODEL, rank: 4, ...options })).rejects.toThrow(message);
});
