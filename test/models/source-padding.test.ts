// A source's results are the same bits alone and in any batch, at lengths on both sides of the multiple of rows that sources
// are padded to.

import { expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import { openGolden } from './golden-models.ts';

const LENGTHS = [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129];

test.each(['t5', 'mt5'])('%s: a source is read to the same bits alone and beside any other', async (name) => {
  const encoder = new Encoder(openGolden(name), undefined, cpu);
  const requests = LENGTHS.map((length, i) => ({
    source: Array.from({ length }, (_, at) => 3 + ((7 * at + 5 * i + 1) % 59)),
    tokens: [0, 5 + i, 9],
    wanted: [0, 1, 2],
  }));
  const alone: Float32Array[] = [];
  for (const request of requests) alone.push((await encoder.hidden([request]))[0]!);
  expect(await encoder.hidden(requests)).toEqual(alone);
  expect(await encoder.hidden([...requests].reverse())).toEqual([...alone].reverse());
  for (const [i, request] of requests.entries()) {
    const pair = await encoder.hidden([request, requests[(i + 5) % requests.length]!]);
    expect(pair[0], `${LENGTHS[i]} rows`).toEqual(alone[i]);
  }
  await encoder.release();
});
