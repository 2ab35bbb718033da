// Files of JSON rows of odd forms as `datasets` reads them (goldens/python-json/make_files.py), or the line that is to blame;
// configs that hold what only Python's json has.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readRows } from '../../../src/sources/rows/read.ts';
import { parseStrictJson, readJsonObject } from '../../../src/sources/strict-json.ts';

const { files } = JSON.parse(
  readFileSync(new URL('../../../goldens/python-json/files.json', import.meta.url), 'utf8'),
) as { files: Record<string, { text: string; rows: object[] | 'error' }> };
const folder = mkdtempSync(join(tmpdir(), 'whorl-odd-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, text: string): Promise<object[]> {
  const path = join(folder, name);
  writeFileSync(path, text);
  const rows: object[] = [];
  for await (const row of readRows(path)) rows.push(row);
  return rows;
}

/** Whose line is to blame, and how. */
const BLAMED: Readonly<Record<string, RegExp>> = {
  'comma.json': /line 1: not valid JSON/,
  'comma-in-row.jsonl': /line 1: not valid JSON/,
  'commas.jsonl': /line 1: not valid JSON/,
  'null-first.jsonl': /line 1: a row must be an object of columns, here is null/,
  'number-first.jsonl': /line 1: a row must be an object of columns, here is a number/,
  'arrays.jsonl': /line 1: a row must be an object of columns, here is an array/,
  'text.json': /line 1: a row must be an object of columns, here is a string/,
};

test.each(Object.entries(files))('%s', async (name, { text, rows }) => {
  if (rows === 'error') return expect(read(name, text)).rejects.toThrow(BLAMED[name]!);
  const got = await read(name, text);
  expect(JSON.parse(JSON.stringify(got, (_, x: unknown) => (Number.isNaN(x) ? 'NaN' : x)))).toEqual(rows);
});

test('a config reads what Python writes: NaN and the infinities, long integers as numbers', () => {
  const path = join(folder, 'config.json');
  writeFileSync(path, '{"a": [0.0, Infinity, -Infinity], "b": NaN, "c": 1000000000000000019884624838656}');
  expect(readJsonObject(path, path)).toEqual({
    a: [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    b: Number.NaN,
    c: 1e30,
  });
  writeFileSync(path, '{"a": Infinity,}');
  expect(() => readJsonObject(path, path)).toThrow(/not valid JSON/);
  writeFileSync(path, '{"a": NaN, "a": 1}');
  expect(() => readJsonObject(path, path)).toThrow(/"a" twice/);
});

test('what is ours holds no NaN', () => {
  expect(() => parseStrictJson(Buffer.from('{"a": NaN}'), 'claim.json')).toThrow(/not valid JSON/);
});
