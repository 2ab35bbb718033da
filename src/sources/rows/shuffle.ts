// The orders in which `datasets` shuffles rows, for the same seed the same: one for whole sets, two for streams, since
// version 5 fills its buffer otherwise. A stream keeps one buffer in memory, however long it is.

import { NumpyRandom } from '../../base/numpy-random.ts';

/** `datasets`' default; a stream's order depends on it. */
export const BUFFER = 1000;

export type RowOrder = 'stream' | 'stream5' | 'whole' | 'file';

type Shuffle = <T>(rows: AsyncIterable<T>, seed: bigint, buffer: number) => AsyncIterable<T>;

const SHUFFLES: Readonly<Record<RowOrder, Shuffle>> = {
  /** `IterableDataset.shuffle` before version 5: a row from the full buffer makes room for the next of the stream. */
  async *stream<T>(rows: AsyncIterable<T>, seed: bigint, buffer: number) {
    const random = new NumpyRandom(seed);
    const held: T[] = [];
    let places: number[] = [];
    let used = 0;
    for await (const row of rows) {
      if (held.length < buffer) {
        held.push(row);
        continue;
      }
      if (used === places.length) {
        places = random.integers(buffer, DRAWN_AT_ONCE);
        used = 0;
      }
      const place = places[used++]!;
      yield held[place]!;
      held[place] = row;
    }
    yield* random.shuffle(held);
  },
  /** From version 5 on: each time the buffer is full, half of it goes, in a random order. */
  stream5: (rows, seed, buffer) => shuffleBatches(ones(rows), seed, buffer),
  /** `Dataset.shuffle`: one permutation, so every row is held in memory. */
  async *whole<T>(rows: AsyncIterable<T>, seed: bigint) {
    const all: T[] = [];
    for await (const row of rows) all.push(row);
    for (const i of new NumpyRandom(seed).permutation(all.length)) yield all[i]!;
  },
  file: (rows) => rows,
};

async function* ones<T>(rows: AsyncIterable<T>): AsyncGenerator<T[]> {
  for await (const row of rows) yield [row];
}

/** `stream5` of rows that come several at a time: the buffer may then be more than full. */
export async function* shuffleBatches<T>(
  batches: AsyncIterable<readonly T[]>,
  seed: bigint,
  buffer = BUFFER,
): AsyncGenerator<T> {
  const random = new NumpyRandom(seed);
  let held: T[] = [];
  const kept = Math.floor(buffer / 2);
  for await (const batch of batches) {
    held.push(...batch);
    if (held.length < buffer) continue;
    const order = random.permutation(held.length).map((i) => held[i]!);
    held = order.splice(order.length - kept);
    yield* order;
  }
  yield* random.permutation(held.length).map((i) => held[i]!);
}

// Drawn ahead: the last shuffle of what is held goes on behind the whole batch, used up or not.
const DRAWN_AT_ONCE = 1000;

export const ROW_ORDERS = Object.keys(SHUFFLES) as RowOrder[];

/** The rows in the order that `datasets` gives them for this seed (0 or more). */
export const shuffleRows = <T>(
  rows: AsyncIterable<T>,
  order: RowOrder,
  seed: bigint,
  buffer = BUFFER,
): AsyncIterable<T> => SHUFFLES[order](rows, seed, buffer);

/** The order of a stream's files before version 5: they are shuffled by the same seed, and each is read to its end. */
export const shuffleFiles = <T>(files: readonly T[], seed: bigint): T[] =>
  new NumpyRandom(seed).shuffle([...files]);
