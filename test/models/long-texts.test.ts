// Texts of several tiles of attention: what transformers says of them (goldens/models/make_long.py), the same bits in any batch.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import { openGolden } from './golden-models.ts';

interface Long {
  /** Tokens of the longest text. */
  readonly most: number;
  /** Tokens, rows, and the log-probability of the token after each of those rows. */
  readonly texts: readonly (readonly [
    length: number,
    rows: readonly number[],
    logprobs: readonly number[],
  ])[];
}

const { models } = JSON.parse(
  readFileSync(new URL('../../goldens/models/long.json', import.meta.url), 'utf8'),
) as { models: Record<string, Long> };

function madeText(vocab: number, seed: number, length: number): number[] {
  let x = seed;
  return Array.from({ length }, () => 2 + ((x = (75 * x + 74) % 65537) % (vocab - 2)));
}

describe.each(Object.entries(models))('%s', (name, { most, texts }) => {
  const model = openGolden(name);
  const { vocab_size } = model.decoder.config;
  const begin = madeText(vocab_size, 1, Math.floor((7 * most) / 10));
  const requests = texts.map(([length, rows], i) => {
    const tokens =
      i === texts.length - 1
        ? madeText(vocab_size, 99, length)
        : [...begin, ...madeText(vocab_size, 10 + i, length - begin.length)];
    return {
      tokens: tokens.slice(0, -1),
      ...(model.decoder.encoder && { source: madeText(vocab_size, 5, 9) }),
      wanted: [...rows],
      labels: rows.map((row) => tokens[row + 1]!),
    };
  });

  test('log-probabilities along four texts of one beginning and one of a single tile', async () => {
    const encoder = new Encoder(model, undefined, cpu);
    const together = await encoder.labels(requests);
    for (const [i, [, , logprobs]] of texts.entries())
      together[i]!.logprobs.forEach((got, n) => expect(got).toBeCloseTo(logprobs[n]!, 4));
    // Alone, in other company, and behind longer and shorter texts of the same beginning.
    for (const batch of [[0], [3], [4], [3, 0], [0, 3], [4, 2, 1], [2, 2, 0]]) {
      const again = await encoder.labels(batch.map((i) => requests[i]!));
      for (const [place, i] of batch.entries())
        expect([...again[place]!.logprobs]).toEqual([...together[i]!.logprobs]);
    }
    await encoder.release();
  });
});
