// A folder of rows is its files and their names in it, however it is written; links count as what they lead to.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { digestRows } from '../../src/sources/digest-rows.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-rows-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const rows = join(scratch, 'rows');
mkdirSync(join(rows, 'b'), { recursive: true });
writeFileSync(join(rows, 'a.jsonl'), '{}\n');
writeFileSync(join(rows, 'b', 'c.jsonl'), '[]\n');

test('the same digest for every way to write the folder', () => {
  const lines = [
    ['/a.jsonl', sha256('{}\n')],
    ['/b/c.jsonl', sha256('[]\n')],
  ].map((line) => `${JSON.stringify(line)}\n`);
  const from = relative('.', rows);
  for (const source of [rows, `${rows}/`, `${scratch}/./rows`, from, `./${from}`])
    expect(digestRows(source), source).toBe(sha256(lines.join('')));
});

test('a link is the file that it leads to, as the hub’s cache has them', () => {
  const links = join(scratch, 'links');
  mkdirSync(join(links, 'b'), { recursive: true });
  for (const name of ['a.jsonl', 'b/c.jsonl']) symlinkSync(join(rows, name), join(links, name));
  expect(digestRows(links)).toBe(digestRows(rows));
});

test('a file by its bytes; what is not here by nothing', () => {
  expect(digestRows(join(rows, 'a.jsonl'))).toBe(sha256('{}\n'));
  expect(digestRows(join(scratch, 'nowhere'))).toBeNull();
});
