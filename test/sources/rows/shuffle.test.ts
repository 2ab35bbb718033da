import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { NumpyRandom } from '../../../src/base/numpy-random.ts';
import { shuffleFiles, shuffleRows } from '../../../src/sources/rows/shuffle.ts';

const golden = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../goldens/row-order/${name}`, import.meta.url), 'utf8')) as T;
const digest = (numbers: readonly number[]) => createHash('sha256').update(numbers.join(' ')).digest('hex');

interface Draws {
  seed: string;
  integers_1000: number[];
  one: number[];
  integers_2_32: number[];
  integers_rejecting: number[];
  permutation: number[];
  shuffle: number[];
  permutation_20000_sha256: string;
}
interface Orders {
  streams: { rows: number; seed: string; buffer: number; first: number[]; sha256: string }[];
  whole: { rows: number; seed: string; first: number[]; sha256: string }[];
  files: { count: number; each: number; seed: string; buffer: number; order: number[] };
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);
async function* streamOf(numbers: readonly number[]): AsyncGenerator<number> {
  yield* numbers;
}
async function collect(rows: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

describe('NumpyRandom draws what numpy draws', () => {
  test.each(golden<{ draws: Draws[] }>('numpy.json').draws)('seed $seed', (want) => {
    const random = new NumpyRandom(BigInt(want.seed));
    expect(random.integers(1000, 7)).toEqual(want.integers_1000);
    expect(random.integers(1, 2)).toEqual(want.one);
    expect(random.integers(2 ** 32, 3)).toEqual(want.integers_2_32);
    expect(random.integers(3 * 2 ** 30, 20)).toEqual(want.integers_rejecting);
    expect(random.permutation(11)).toEqual(want.permutation);
    expect(random.shuffle(count(13))).toEqual(want.shuffle);
    expect(digest(random.permutation(20_000))).toBe(want.permutation_20000_sha256);
  });
});

describe('rows come in the order of `datasets`', () => {
  for (const [order, file] of [
    ['stream', 'datasets-4.json'],
    ['stream5', 'datasets-5.json'],
  ] as const) {
    const { streams, whole } = golden<Orders>(file);
    test.each(streams)(`${order}: $rows rows, seed $seed, buffer $buffer`, async (want) => {
      const got = await collect(
        shuffleRows(streamOf(count(want.rows)), order, BigInt(want.seed), want.buffer),
      );
      expect(got.slice(0, 40)).toEqual(want.first);
      expect(digest(got)).toBe(want.sha256);
    });
    test.each(whole)(`whole, as ${file} has it: $rows rows, seed $seed`, async (want) => {
      const got = await collect(shuffleRows(streamOf(count(want.rows)), 'whole', BigInt(want.seed)));
      expect(got.slice(0, 40)).toEqual(want.first);
      expect(digest(got)).toBe(want.sha256);
    });
  }

  test('a stream of many files', async () => {
    const { files } = golden<Orders>('datasets-4.json');
    const order = shuffleFiles(count(files.count), BigInt(files.seed));
    const rows = streamOf(order.flatMap((file) => count(files.each).map((i) => file * 100 + i)));
    expect(await collect(shuffleRows(rows, 'stream', BigInt(files.seed), files.buffer))).toEqual(files.order);
  });

  test('file order is no shuffle, and a stream is read no further than is taken', async () => {
    expect(await collect(shuffleRows(streamOf(count(5)), 'file', 42n))).toEqual(count(5));
    let read = 0;
    async function* counted() {
      for (;;) yield read++;
    }
    for await (const _ of shuffleRows(counted(), 'stream', 42n, 10)) break;
    expect(read).toBe(11);
  });
});
