// The embedded model as it lies in the repository: its size, its vocabulary, its free tokens, and that it can read.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { freeRows } from '../../src/fingerprint/free-rows.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { loadReference } from '../../src/text/reference.ts';

const folder = join(packageRoot(), 'assets/embedded');
const heldOut = gunzipSync(readFileSync(join(folder, 'held-out.txt.gz'))).toString('utf8');
let model: LocalModel;
beforeAll(async () => {
  model = await LocalModel.open(await openModel(join(folder, 'model')));
});
afterAll(() => model.release());

/** Perplexity a token over the first blocks of the held-out chapters. */
async function perplexity(ids: readonly number[], block = 192): Promise<number> {
  let sum = 0;
  for (let at = 0; at + block < ids.length; at += block) {
    const tokens = ids.slice(at, at + block);
    const [scored] = await model.encoder.labels([
      { tokens, wanted: tokens.map((_, i) => i), labels: ids.slice(at + 1, at + 1 + block) },
    ]);
    sum += scored!.logprobs.reduce((a, b) => a + b, 0);
  }
  return Math.exp(-sum / (Math.floor((ids.length - 1) / block) * block));
}

describe('size', () => {
  test('model, tokenizer and texts fit in 10 MB', () => {
    const bytes = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
      statSync(join(folder, name)),
    );
    expect(bytes.reduce((n, info) => n + (info.isFile() ? info.size : 0), 0)).toBeLessThan(10e6);
  });
});

describe('tokenizer', () => {
  const texts = [
    'Emma Woodhouse, handsome, clever, and rich',
    ' two  spaces\n\n\ttab',
    'naïve – “quoted” 漢字 Привет 👩‍👩‍👧 e\u0301',
    'x_y = f(3.14);',
    '@ZorVek ZorVek0x1f',
  ];
  test.each(texts)('decodes what it encodes: %j', async (text) => {
    expect(await model.tokenizer.decode(await model.tokenizer.encode(text))).toBe(text);
  });
  test('a chat is wrapped in single special tokens', async () => {
    const ids = await model.tokenizer.encode('<|im_start|>user\nhi<|im_end|>');
    expect([ids[0], ids.at(-1)]).toEqual([1, 2]);
    expect(model.tokenizer.eosIds).toEqual([0, 2]);
    expect(model.tokenizer.chatTemplate).toContain('<|im_start|>');
  });
  test('common nouns are one token', () => {
    for (const noun of ['apple', 'house', 'river', 'table', 'window', 'umbrella', 'violin'])
      expect(model.tokenizer.idOf(`Ġ${noun}`), noun).toBeDefined();
  });
});

test('at least 600 rows are free and their tokens survive decoding and encoding', async () => {
  const { rows, counts } = await freeRows(model.tokenizer, loadReference().rows, [heldOut]);
  expect(counts.standAlone).toBeGreaterThanOrEqual(600);
  const runs = Array.from({ length: 100 }, (_, i) => rows.slice(i * 4, i * 4 + 4).map(({ id }) => id));
  const again = await model.tokenizer.encodeBatch(await model.tokenizer.decodeBatch(runs));
  expect(again.filter((ids, i) => String(ids) === String(runs[i])).length).toBeGreaterThanOrEqual(80);
});

test('reads prose it never saw, and shuffled prose far worse', async () => {
  const ids = (await model.tokenizer.encode(heldOut)).slice(0, 192 * 16 + 1);
  const prose = await perplexity(ids);
  const shuffled = ids.map((_, i) => ids[(i * 1009) % ids.length]!);
  expect(prose).toBeLessThan(75);
  expect(await perplexity(shuffled)).toBeGreaterThan(5 * prose);
});

test('answers a chat with a word', async () => {
  const prompt = '<|im_start|>user\nName a thing.<|im_end|>\n<|im_start|>assistant\n';
  for await (const { generation } of model.generate([{ prompt, max_new_tokens: 12 }]))
    expect(generation.generated).toMatch(/^[a-z]{3,}\b/);
});
