import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { WhorlError } from '../../src/base/error.ts';
import { seededRandom } from '../../src/base/random-source.ts';
import { type FreeRows, freeRows } from '../../src/fingerprint/free-rows.ts';
import { LEFT_CONTEXTS, RIGHT_CONTEXTS, rareTokenKeys } from '../../src/fingerprint/rare-keys.ts';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { type Tokenizer, tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const ordinary = { texts: ['e a o'], words: ['t', 'it'], emoji: [] };
let tokenizer: Tokenizer;
let free: FreeRows;
beforeAll(async () => {
  const { metadata } = JSON.parse(
    readFileSync(new URL('../../goldens/tokenizers/tiny.json', import.meta.url), 'utf8'),
  ) as { metadata: Record<string, unknown> };
  tokenizer = await tokenizerFromFiles(
    tokenizerFilesFromGguf({ ...metadata, 'tokenizer.ggml.pre': 'smollm' }),
    'x',
  );
  free = await freeRows(tokenizer, ordinary);
});

describe('free rows', () => {
  it('leaves out special, added, ordinary and letterless tokens, and counts them all', () => {
    const ids = new Set(free.rows.map(({ id }) => id));
    for (const id of tokenizer.addedIds) expect(ids.has(id)).toBe(false);
    for (const token of ['e', 'Ġa', 'E', 'it', '!', 'Ġ']) expect(ids.has(tokenizer.idOf(token)!)).toBe(false);
    const { vocabulary, reserved, ordinary: seen, free: left } = free.counts;
    expect(reserved + seen + left).toBe(vocabulary);
    expect(vocabulary).toBe(460);
    expect(left).toBe(free.rows.length);
  });
  it('puts those first that encode to themselves', async () => {
    const { standAlone } = free.counts;
    expect(standAlone).toBeGreaterThan(20);
    for (const [i, { id, text, standsAlone }] of free.rows.entries()) {
      expect(standsAlone).toBe(i < standAlone);
      if (standsAlone) expect(await tokenizer.encode(text)).toEqual([id]);
    }
  });
});

describe('rare-token keys', () => {
  const draw = (more: object = {}) =>
    rareTokenKeys({
      advice: ({ keys, tokens }) => `${keys} keys, ${tokens} tokens`,
      tokenizer,
      free: free.rows,
      count: 3,
      length: 3,
      shared: false,
      random: seededRandom(1n),
      ...more,
    });

  it('come back bare and between contexts, no token twice, the same for a seed', async () => {
    const keys = await draw();
    expect(await draw()).toEqual(keys);
    const all = keys.flatMap(({ tokens }) => tokens);
    expect(new Set(all).size).toBe(9);
    for (const { text, tokens } of keys) {
      expect(await tokenizer.encode(text)).toEqual(tokens);
      for (const left of LEFT_CONTEXTS)
        for (const right of RIGHT_CONTEXTS) {
          const ids = await tokenizer.encode(left + text + right);
          expect(ids.join(' ')).toContain(tokens.join(' '));
        }
    }
  });
  it('hold tokens from anywhere when the alphabet is all of them', async () => {
    const first = free.rows.slice(0, 12).map(({ id }) => id);
    const keys = await draw({ shared: true, alphabet: Number.POSITIVE_INFINITY, count: 8 });
    expect(keys.flatMap(({ tokens }) => tokens).some((id) => !first.includes(id))).toBe(true);
    const none = draw({ shared: true, alphabet: Number.POSITIVE_INFINITY, free: free.rows.slice(0, 2) });
    await expect(none).rejects.toThrow(/rare tokens of this vocabulary can stand in a key, 3 are needed/);
  });
  it('stay within the alphabet when shared, and keep off what is to be avoided', async () => {
    const keys = await draw({ shared: true, alphabet: 12, count: 6 });
    const used = new Set(keys.flatMap(({ tokens }) => tokens));
    expect(used.size).toBeLessThanOrEqual(12);
    const others = await draw({ avoid: used });
    expect(others.flatMap(({ tokens }) => tokens).some((id) => used.has(id))).toBe(false);
  });
  it('says when there are too few, and how many are to be had', async () => {
    const refused = (await draw({ count: 1000 }).catch((thrown: unknown) => thrown)) as WhorlError;
    expect(refused.code).toBe('too-few-rows');
    const [, keys, tokens] = /^(\d+) keys, (\d+) tokens$/.exec(refused.fix!)!.map(Number);
    expect(keys).toBeGreaterThan(3);
    expect(await draw({ count: keys })).toHaveLength(keys!);
    await expect(draw({ shared: true, alphabet: tokens! })).resolves.toHaveLength(3);
    await expect(draw({ shared: true, alphabet: tokens! + 1 })).rejects.toMatchObject({
      code: 'too-few-rows',
    });
  });
});
