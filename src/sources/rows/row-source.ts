// Where rows come from, as a list of files that are brought here when their turn comes, and the orders in which
// `datasets` reads several: a set of many files gives its first rows when the first file is there.

import type { NumberedRow } from './numbered.ts';
import { readRows } from './read.ts';
import { BUFFER, type RowOrder, shuffleBatches, shuffleFiles, shuffleRows } from './shuffle.ts';

export interface RowFile {
  /** What messages call it. */
  readonly name: string;
  /** Path on this machine; fetches the file if it is not here yet. */
  open(): Promise<string>;
}

export interface RowSource {
  /** What messages call it. */
  readonly name: string;
  /** Do its files come over the network? Then it pays not to read them all. */
  readonly isRemote: boolean;
  readonly files: readonly RowFile[];
  close(): Promise<void>;
}

/** Files that `datasets` reads in turn, a batch of each, since version 5. */
const INTERLEAVED = 10;

type Ordered = (files: readonly RowFile[], seed: bigint, buffer: number) => AsyncIterable<NumberedRow>;

const ORDERED: Readonly<Record<RowOrder, Ordered>> = {
  stream: (files, seed, buffer) => shuffleRows(inTurn(shuffleFiles(files, seed)), 'stream', seed, buffer),
  stream5(files, seed, buffer) {
    const size = Math.max(1, Math.floor(buffer / INTERLEAVED));
    const streams = groups(shuffleFiles(files, seed), INTERLEAVED).map((group) =>
      batched(inTurn(group), size),
    );
    return shuffleBatches(cycled(streams), seed, buffer);
  },
  whole: (files, seed) => shuffleRows(inTurn(files), 'whole', seed),
  file: inTurn,
};

/** The source's rows in the order that `datasets` gives them for this seed; the source is closed at the end. */
export async function* orderedRows(
  source: RowSource,
  order: RowOrder,
  seed: bigint,
  buffer = BUFFER,
): AsyncGenerator<NumberedRow> {
  try {
    yield* ORDERED[order](source.files, seed, buffer);
  } finally {
    await source.close();
  }
}

async function* batched<T>(rows: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const row of rows) {
    if (batch.push(row) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function* inTurn(files: readonly RowFile[]): AsyncGenerator<NumberedRow> {
  for (const { name, open } of files) {
    let number = 0;
    for await (const row of readRows(await open())) yield { row, path: name, number: ++number };
  }
}

/** Contiguous groups, the first ones longer by one where it does not divide. */
function groups<T>(items: readonly T[], most: number): T[][] {
  const count = Math.min(items.length, most);
  const starts = Array.from({ length: count + 1 }, (_, i) => {
    const [each, left] = [Math.floor(items.length / count), items.length % count];
    return i * each + Math.min(i, left);
  });
  return starts.slice(1).map((end, i) => items.slice(starts[i], end));
}

/** One of each in turn; one that has ended is passed over. */
async function* cycled<T>(streams: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  let open = [...streams];
  try {
    while (open.length > 0) {
      const ended = new Set<AsyncGenerator<T>>();
      for (const stream of open) {
        const next = await stream.next();
        if (next.done) ended.add(stream);
        else yield next.value;
      }
      open = open.filter((stream) => !ended.has(stream));
    }
  } finally {
    for (const stream of open) await stream.return(undefined);
  }
}
