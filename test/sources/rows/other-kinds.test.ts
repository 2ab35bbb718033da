// What is given as rows and is of another kind: named as what it is, with what is read and the mend, in one line. The
// files, and what the advised conversions make of them, are Python's (goldens/datasets/make_other.py).

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { WhorlError } from '../../../src/base/error.ts';
import { readRows } from '../../../src/sources/rows/read.ts';
import type { Row } from '../../../src/sources/rows/row.ts';

const goldens = new URL('../../../goldens/', import.meta.url).pathname;
const other = join(goldens, 'datasets/other');
const golden = JSON.parse(readFileSync(join(other, 'golden.json'), 'utf8')) as {
  rows: Row[];
  advised: Record<string, { advice: string; lines: string }>;
};
const scratch = mkdtempSync(join(tmpdir(), 'whorl-other-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function all(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readRows(path)) rows.push(row);
  return rows;
}
async function failure(path: string): Promise<WhorlError> {
  const error: unknown = await all(path).then(
    () => new Error(`${path} was read`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WhorlError)) throw error;
  expect(error.message).not.toContain('\n');
  expect(error.message).toContain(path);
  return error;
}
function file(name: string, bytes: string | Uint8Array): string {
  const path = join(mkdtempSync(join(scratch, 'file-')), name);
  writeFileSync(path, bytes);
  return path;
}

const READ = 'rows are read from JSON, JSON lines, Parquet and Arrow';
describe('files of other kinds', () => {
  test.each([
    ['rows.csv', 'is a CSV table'],
    ['rows.tsv', 'is a table of columns between tabs'],
    ['rows.xlsx', 'is a spreadsheet'],
    ['rows.yaml', 'is YAML'],
    ['rows.orc', 'is an ORC file'],
    ['rows.pkl', 'is a pickle, which can run code and is never opened'],
    ['rows.npy', "is numpy's arrays"],
    ['rows.npz', "is numpy's arrays"],
    ['rows.db', 'is an SQLite database'],
    ['rows.utf16.jsonl', 'is text in UTF-16'],
    ['rows.zip', 'is a zip archive'],
    ['rows.tar', 'is a tar archive'],
    ['rows.jsonl.gz', 'is compressed (gzip)'],
    ['rows.jsonl.bz2', 'is compressed (bzip2)'],
    ['rows.jsonl.xz', 'is compressed (xz)'],
  ])('%s', async (name, says) => {
    const { code, message } = await failure(join(other, name));
    expect(code).toBe('unsupported');
    expect(message).toContain(`${name} ${says}; ${READ}: `);
  });

  test.each(Object.keys(golden.advised))('%s: what is advised gives its rows', async (name) => {
    const { advice, lines } = golden.advised[name]!;
    expect((await failure(join(other, name))).message).toContain(advice);
    expect(await all(file('rows.jsonl', lines))).toEqual(golden.rows);
  });

  test('by their bytes where the name says nothing, or something else', async () => {
    const named = (name: string, as: string) => file(as, readFileSync(join(other, name)));
    for (const [name, as, says] of [
      ['rows.csv', 'rows', 'a CSV table'],
      ['rows.csv', 'rows.json', 'a CSV table'],
      ['rows.tsv', 'rows.data', 'a table of columns between tabs'],
      ['rows.zip', 'rows.jsonl', 'a zip archive'],
      ['rows.tar', 'rows.json', 'a tar archive'],
      ['rows.xlsx', 'rows.parquet', 'a spreadsheet'],
      ['rows.db', 'rows.arrow', 'an SQLite database'],
    ] as const)
      expect((await failure(named(name, as))).message).toContain(`${as} is ${says}; ${READ}: `);
  });

  test.each([
    ['a pickle', 0x0280],
    ['gzip', 0x8b1f],
    ['UTF-16', 0xfeff],
  ])('weights whose header is as long as the magic of %s says are weights', async (_, length) => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(length);
    const path = file('model.safetensors', Buffer.concat([header, Buffer.from('{}'.padEnd(length))]));
    expect((await failure(path)).message).toMatch(/holds weights of a model/);
  });

  test('text that is nothing else is shown, and only its beginning', async () => {
    const { code, message } = await failure(file('notes', `Dear, \u0007all${'y'.repeat(500)}\nx`));
    expect(code).toBe('bad-file');
    expect(message).toMatch(/notes holds bytes of no kind that is known/);
    const prose = await failure(file('notes', `Dear all, ${'y'.repeat(500)}\nx`));
    expect(prose.message).toContain(
      `notes is no JSON: it begins with "Dear all, ${'y'.repeat(30)}"; ${READ}`,
    );
    expect((await failure(file('read.me.txt', 'hello\n'))).message).toContain('is plain text');
  });

  test('JSON is read under any name; what begins like it and is none is what its name says', async () => {
    const rows = [{ a: 1 }, { a: 2 }];
    const lines = rows.map((row) => JSON.stringify(row)).join('\n');
    for (const name of ['rows.txt', 'rows.csv', 'rows.yaml', 'rows', 'rows.db'])
      for (const text of [lines, JSON.stringify(rows, null, 2), `\ufeff \n${lines}`])
        expect(await all(file(name, text))).toEqual(rows);
    for (const [name, text, says] of [
      ['flow.yaml', '{a: 1}\n', 'is YAML'],
      ['flow.yml', '[{a: 1}]\n', 'is YAML'],
      ['table.toml', '[table]\na = 1\n', 'is TOML'],
      ['odd.csv', '[a],{b}\n1,2\n', 'is a CSV table'],
    ] as const)
      expect((await failure(file(name, text))).message).toContain(`${name} ${says}; `);
    // Once a row was read it is JSON, and its line is to blame.
    expect((await failure(file('late.csv', '{"a":1}\n{"a":'))).message).toMatch(
      /late\.csv, line 2: not valid JSON/,
    );
  });

  test('an address, and what is no file', async () => {
    await expect(all('https://huggingface.co/datasets/org/set')).rejects.toMatchObject({
      code: 'usage',
      message: /give the hub's id: org\/set/,
    });
    expect((await failure('/dev/null')).message).toMatch(/not a regular file: give a file/);
  });
});

describe('folders without rows', () => {
  const folder = (files: Readonly<Record<string, string>>): string => {
    const path = mkdtempSync(join(scratch, 'folder-'));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      writeFileSync(join(path, name), text);
    }
    return path;
  };

  test.each([
    ['an empty one', {}, /is an empty folder: rows are read from/],
    ['a model', { 'config.json': '{}', 'model.safetensors': '' }, /is the folder of a model/],
    [
      'files of rows',
      { 'b.jsonl': '', 'a.parquet': '', 'dataset_info.json': '' },
      /no data set was saved in it: give one of them: \S+a\.parquet, \S+b\.jsonl$/,
    ],
    [
      'many files of rows',
      Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`${i}.arrow`, ''])),
      /1\.arrow, \S+2\.arrow, \S+3\.arrow or another of its 5$/,
    ],
    [
      'a clone',
      { 'README.md': '', 'data/train.parquet': '' },
      /its rows may lie in \S+data: give a file there/,
    ],
    [
      'nothing of that',
      { 'README.md': '', 'x/y.txt': '' },
      /no data set was saved in it: rows are read from/,
    ],
  ] as [string, Record<string, string>, RegExp][])('%s', async (_, files, says) => {
    const { code, message } = await failure(folder(files));
    expect(code).toBe('missing-file');
    expect(message).toMatch(says);
  });

  test('one that holds saved data sets names them', async () => {
    const path = folder({});
    cpSync(join(goldens, 'datasets/saved'), join(path, 'mine'), { recursive: true });
    expect((await failure(path)).message).toContain(`give one of them: ${join(path, 'mine')}`);
  });
});
