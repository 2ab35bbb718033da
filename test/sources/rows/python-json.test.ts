// JSON as CPython reads it, rows as `datasets` joins them (goldens/python-json), and instruction rows whose columns differ.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { conversationReader } from '../../../src/datasets/conversations.ts';
import { type ColumnMap, readInstructionRows } from '../../../src/datasets/instruction-rows.ts';
import { changedJsonText, parsePythonJson } from '../../../src/sources/rows/python-json.ts';
import { readRows } from '../../../src/sources/rows/read.ts';
import { exactInteger, type Row } from '../../../src/sources/rows/row.ts';

type Tagged =
  | { k: boolean | null }
  | { i: string }
  | { f: string }
  | { s: number[] }
  | { l: Tagged[] }
  | { o: [string, Tagged][] };

interface Text {
  text: string;
  value?: Tagged;
  error?: true;
}

const golden = JSON.parse(
  readFileSync(new URL('../../../goldens/python-json/golden.json', import.meta.url), 'utf8'),
) as { texts: Text[]; rows: Record<string, { given: Row[]; read: Record<string, string | null>[] }> };

const folder = mkdtempSync(join(tmpdir(), 'whorl-python-json-'));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;
function file(name: string, text: string): string {
  const path = join(folder, `${serial++}-${name}`);
  writeFileSync(path, text);
  return path;
}

function untagged(value: Tagged): unknown {
  if ('k' in value) return value.k;
  if ('i' in value) return exactInteger(BigInt(value.i));
  if ('f' in value) return Number(value.f);
  if ('s' in value) return String.fromCharCode(...value.s);
  if ('l' in value) return value.l.map(untagged);
  return Object.fromEntries(value.o.map(([key, inner]) => [key, untagged(inner)]));
}

/** Python's −0 is the integer 0. */
const positive = (value: unknown): unknown => JSON.parse(JSON.stringify(value, big), back) as unknown;
const big = (_: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return { big: String(value) };
  return typeof value === 'number' ? { number: String(value === 0 ? 0 : value) } : value;
};
const back = (_: string, value: unknown): unknown => value;

describe('CPython’s json', () => {
  test.each(golden.texts.map((one): [string, Text] => [JSON.stringify(one.text), one]))(
    '%s',
    (_, { text, value }) => {
      if (!value) expect(() => parsePythonJson(text)).toThrow(SyntaxError);
      else expect(positive(parsePythonJson(text))).toEqual(positive(untagged(value)));
    },
  );

  test('an object has own keys only', () => {
    const value = parsePythonJson('{"__proto__": {"x": NaN}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(['__proto__']);
  });

  test('nesting without end is an error, not an overflow', () => {
    expect(() => parsePythonJson(`${'['.repeat(200_000)}NaN`)).toThrow(SyntaxError);
  });

  test.each(['rows.json', 'rows.jsonl'])('in %s, and the line of a fault', async (name) => {
    const rows = ['{"a": NaN, "n": 12345678901234567890}', '{"a": -Infinity, "a": "\\ud800"}'];
    const text = (lines: string[]) => (name.endsWith('l') ? lines.join('\n') : `[${lines.join(',\n')}]`);
    const read: Row[] = [];
    for await (const row of readRows(file(name, text(rows)))) read.push(row);
    expect(read).toEqual([{ a: Number.NaN, n: 12345678901234567890n }, { a: '\ud800' }]);
    const bad = readRows(file(name, text([...rows, '{"a": NAN}'])));
    const drain = async () => {
      for await (const _ of bad);
    };
    await expect(drain()).rejects.toThrow(/, line 3: not valid JSON/);
  });
});

describe('instruction rows', () => {
  const wanted = (rows: Record<string, string | null>[]) =>
    rows
      .map(({ instruction, input, output }) => ({
        instruction: instruction ?? '',
        input: input ?? '',
        output: output ?? '',
      }))
      .filter(({ instruction, output }) => instruction !== '' && output !== '');

  test.each(Object.entries(golden.rows))('%s: the table that datasets makes', async (_, { given, read }) => {
    const lines = file('rows.jsonl', given.map((row) => JSON.stringify(row)).join('\n'));
    const list = file('rows.json', JSON.stringify(given));
    for (const path of [lines, list]) {
      const got = await readInstructionRows(path, 99);
      expect(got.rows).toEqual(wanted(read));
      expect(got.empty).toBe(given.length - got.rows.length);
    }
  });

  const rowsOf = async (rows: string[], columns?: ColumnMap) =>
    readInstructionRows(file('rows.jsonl', rows.join('\n')), 99, columns);

  test('the columns reported are those with the input that a later row brought', async () => {
    const { columns } = await rowsOf([
      '{"instruction":"a","output":"b"}',
      '{"instruction":"a","output":"b","input":"c"}',
    ]);
    expect(columns).toEqual({ instruction: 'instruction', input: 'input', output: 'output' });
  });

  test.each([
    ['{"instruction":"a","input":"x","response":"b"}'],
    ['{"instruction":"a","context":"x","output":"b"}'],
    ['{"prompt":"a","input":"x","completion":"b"}'],
    ['{"question":"a","context":"x","answer":"b"}'],
  ])('an input goes with any known pair: %s', async (row) => {
    expect((await rowsOf([row])).rows).toEqual([{ instruction: 'a', input: 'x', output: 'b' }]);
  });

  test('NaN is pandas’ null; a number is no text', async () => {
    const row = '{"instruction":"a","input":NaN,"output":"b","score":NaN}';
    expect((await rowsOf([row])).rows).toEqual([{ instruction: 'a', input: '', output: 'b' }]);
    await expect(rowsOf(['{"instruction":"a","output":3}'])).rejects.toThrow(
      /row 1: column "output" is not text/,
    );
  });

  test('columns that were told: one that the first row lacks, an input that none has', async () => {
    const told = { instruction: 'q', input: 'i', output: 'a' };
    expect(
      (await rowsOf(['{"q":"1","a":"2"}', '{"q":"1","a":"2","i":"3"}', '{"q":"4"}'], told)).rows,
    ).toEqual([
      { instruction: '1', input: '', output: '2' },
      { instruction: '1', input: '3', output: '2' },
    ]);
    await expect(rowsOf(['{"q":"1","b":"2"}'], told)).rejects.toThrow(/row 1: column "a" is missing/);
    await expect(rowsOf(['{"q":"1","a":"2"}'], told)).rejects.toThrow(/no row has the column "i"/);
  });

  test('conversations: each row by its own form', () => {
    const { read } = conversationReader();
    const turns = [
      { from: 'human', value: 'a' },
      { from: 'gpt', value: 'b' },
    ];
    expect(read({ instruction: 'a', output: 'b' }, 'x', 1)).toEqual(turns);
    const later = read({ instruction: 'a', input: 'c', output: 'b' }, 'x', 2);
    expect(later[0]!.value).toBe('a\nInput:\nc');
    expect(read({ conversations: turns }, 'x', 3)).toEqual(turns);
    expect(() => read({ text: 'a' }, 'x', 4)).toThrow(/row 4: column "instruction" is missing/);
  });
});

describe('an object of which some values are changed stays as Python wrote it', () => {
  const { cases } = JSON.parse(
    readFileSync(new URL('../../../goldens/python-json/changed.json', import.meta.url), 'utf8'),
  ) as { cases: Record<string, { before: string; changes: Record<string, unknown>; after: string }> };
  test.each(Object.entries(cases))('%s', (_, { before, changes, after }) => {
    expect(changedJsonText(before, changes)).toBe(after);
  });
  test('on one line, and what is no object', () => {
    expect(changedJsonText('{"a":1.0}\n', { b: 2 })).toBe('{"a":1.0, "b": 2}\n');
    expect(changedJsonText(' {"a": 1.0, "b": NaN}', { a: 2 })).toBe(' {"a": 2, "b": NaN}');
    expect(() => changedJsonText('[]', { b: 2 })).toThrow(SyntaxError);
  });
});
