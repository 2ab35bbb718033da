// A text seed stretched by scrypt: the same bits as OpenSSL's through Python (goldens/seed-kdf/make.py).

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SEED_KDF, stretchSeed } from '../../src/claim/seed-kdf.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../goldens/seed-kdf/seeds.json', import.meta.url), 'utf8'),
) as { seeds: { text: string; n: number; r: number; p: number; seed: string }[] };

test.each(golden.seeds)('%j', async ({ text, seed, ...numbers }) => {
  expect(await stretchSeed(text, { kdf: 'scrypt', ...numbers })).toBe(seed);
});

test('what runs use is among them: 128 MB a guess', async () => {
  expect(golden.seeds).toContainEqual(
    expect.objectContaining({ n: SEED_KDF.n, r: SEED_KDF.r, p: SEED_KDF.p, text: 'k7' }),
  );
  expect(await stretchSeed('k7')).toBe(golden.seeds[0]!.seed);
});
