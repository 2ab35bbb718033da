// Stop strings and batches: what does not need a model.

import { expect, test } from 'vitest';
import { batches } from '../../src/lm/batches.ts';
import { cutAtStop, stopAt } from '../../src/lm/stop.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';

const PIECES = ['ab', 'c', 'd\n', '\ne', 'f'];
const pieces = {
  decode: async (ids: readonly number[]) => ids.map((id) => PIECES[id]).join(''),
} as Tokenizer;
const cut = async (ids: number[], stops: string[]) => cutAtStop(pieces, ids, await pieces.decode(ids), stops);

test('a stop string across tokens: the text before it, the tokens that completed it', async () => {
  expect(await cut([0, 1, 2, 3, 4], ['\n\n'])).toEqual({ text: 'abcd', tokens: [0, 1, 2, 3] });
  expect(await cut([0, 1, 2, 3, 4], ['bc', 'zz'])).toEqual({ text: 'a', tokens: [0, 1] });
  expect(await cut([0, 1, 4], ['ab'])).toEqual({ text: '', tokens: [0] });
  expect(await cut([0, 1, 4], ['x'])).toEqual({ text: 'abcf', tokens: [0, 1, 4] });
});

test('what was complete first ends the text, though a longer one would begin earlier', async () => {
  expect(await cut([0, 1, 2], ['abcd', 'bc'])).toEqual({ text: 'a', tokens: [0, 1] });
  expect(stopAt('xaby', ['y', 'ab'])).toBe(1);
  expect(stopAt('xaby', ['z'])).toBe(-1);
});

const job = (length: number, context: number, name = '') => ({
  tokens: [...Array.from({ length: 20 }, (_, i) => context * 100 + i), ...new Array<number>(length).fill(7)],
  name,
});

test('batches hold every job once, the longest first, within the budget', () => {
  const jobs = Array.from({ length: 50 }, (_, i) => job((i * 37) % 60, i));
  const made = [...batches(jobs, { tokens: 200, sequences: 6 })];
  expect(new Set(made.flat())).toEqual(new Set(jobs));
  expect(made.flat()).toHaveLength(50);
  for (const batch of made) {
    expect(batch.length).toBeLessThanOrEqual(6);
    expect(batch.reduce((sum, { tokens }) => sum + tokens.length, 0)).toBeLessThanOrEqual(200);
  }
  const lengths = made.flat().map(({ tokens }) => tokens.length);
  expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
});

test('jobs that share a context stay together and are charged for it once; groups never mix', () => {
  const jobs = Array.from({ length: 12 }, (_, i) => ({
    ...job(1 + (i >> 2), i % 4),
    group: i % 2 ? 'odd' : 'even',
  }));
  const made = [...batches(jobs, { tokens: 50, group: ({ group }) => group })];
  for (const batch of made) expect(new Set(batch.map(({ group }) => group)).size).toBe(1);
  // Two contexts of 20 tokens a group, three continuations each: 23 + 22 distinct tokens fit one batch.
  expect(made.map(({ length }) => length)).toEqual([6, 6]);
});
