// Data sets as Python saves them today (goldens/datasets/make_kinds.py): compressed Arrow, the feature Json, column names
// with dots, and names that stand twice.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { WhorlError } from '../../../src/base/error.ts';
import { conversationReader } from '../../../src/datasets/conversations.ts';
import { readRows } from '../../../src/sources/rows/read.ts';
import type { Row } from '../../../src/sources/rows/row.ts';

const root = new URL('../../../goldens/datasets/', import.meta.url).pathname;
const golden = JSON.parse(readFileSync(join(root, 'kinds.json'), 'utf8'), (_, value: unknown) =>
  typeof value === 'object' && value !== null && '$big' in value ? BigInt(value.$big as string) : value,
) as { read: Record<string, Row[]> };

const scratch = mkdtempSync(join(tmpdir(), 'whorl-kinds-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function all(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readRows(path)) rows.push(row);
  return rows;
}
const kind = (name: string) => join(root, 'kinds', name);

describe('read as Python reads them', () => {
  test.each(['lz4.feather', 'zstd.feather', 'uncompressed.feather', 'lz4-stream.arrow'])(
    '%s',
    async (name) => {
      expect(await all(kind(name))).toEqual(golden.read.table);
    },
  );
  test.each([
    ['json', 'json'],
    ['json.parquet', 'json.parquet'],
    ['dotted', 'dotted'],
    ['dotted.arrow', 'dotted'],
    ['dotted.parquet', 'dotted'],
  ])('%s', async (name, read) => {
    expect(await all(kind(name))).toEqual(golden.read[read]);
  });
  test('List(Json) is what conversations are made of', async () => {
    const rows = await all(kind('json'));
    const { read } = conversationReader();
    const first = read({ conversations: rows[0]!.turns }, 'json', 1);
    expect(first).toEqual([
      { from: 'human', value: 'hi' },
      { from: 'gpt', value: 'привет' },
    ]);
  });
});

describe('refused in true words', () => {
  test.each([
    ['twice.arrow', 'two columns named "input"'],
    ['twice.parquet', 'two columns named "input"'],
    ['clash.parquet', 'two columns named "meta.x"'], // one flat, one the member x of meta
    ['twice-inside.arrow', 'two columns named "x"'],
  ])('%s', async (name, says) => {
    await expect(all(kind(name))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(`${says}: rename or drop`) as string,
    });
  });
});

test.each(['lz4.feather', 'zstd.feather'])(
  '%s with any byte changed ends in rows or in one of our errors',
  async (name) => {
    const bytes = readFileSync(kind(name));
    const path = join(scratch, name);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const other = Buffer.from(bytes);
        other[at] = other[at]! ^ change;
        writeFileSync(path, other);
        try {
          await all(path);
        } catch (error) {
          expect(error).toBeInstanceOf(WhorlError);
        }
      }),
      { numRuns: 150 },
    );
  },
  120_000,
);
