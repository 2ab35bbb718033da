// `whorl compare` on tiny models: the table, one JSON line, the file, tasks beside it, and what it says of bad input.

import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const place = scratch();
const model = tinyModel(place);
const other = join(place, 'other');
const text = join(place, 'prose.txt');
const data = join(place, 'data');

beforeAll(() => {
  cpSync(model, other, { recursive: true });
  const path = join(other, 'model.safetensors');
  const bytes = readFileSync(path);
  for (
    let at = bytes.length - 4000;
    at < bytes.length;
    at += 4 // float32: a few parts in a thousand
  )
    bytes.writeUInt32LE((bytes.readUInt32LE(at) ^ 0x8000) >>> 0, at);
  writeFileSync(path, bytes);
  writeFileSync(
    text,
    'The old house stood at the end of the road.\nNobody had lived in it for years.\n'.replaceAll('\n', ' '),
  );
  mkdirSync(join(data, 'piqa'), { recursive: true });
  const rows = ['Open a jar.', 'Boil an egg.'].map((goal) => ({
    goal,
    sol1: 'Twist.',
    sol2: 'Sing to it.',
    label: 0,
  }));
  writeFileSync(
    join(data, 'piqa', 'validation.jsonl'),
    rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
  );
});

const compare = (...more: string[]) => whorl('compare', '--model', model, '--text', text, ...more);

test('a table for people, one line for machines, the same figures in the file', async () => {
  const shown = await compare('--with', other);
  expect(shown.code, shown.err).toBe(0);
  expect(shown.out).toMatch(/mean KL[\s\S]*Text[\s\S]*all/);
  const out = join(place, 'difference.json');
  const printed = await compare('--with', other, '--out', out, '--json');
  const report = JSON.parse(printed.out) as { all: { mean: number; positions: number } };
  expect(report.all.mean).toBeGreaterThan(0);
  expect(report).not.toHaveProperty('precision');
  const fewer = await compare('--with', other, '--precision', 'int8', '--json');
  expect(JSON.parse(fewer.out)).toMatchObject({ precision: 'int8' });
  expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(report);
});

test('with tasks: the paired report beside it, results where they can be gone on with', async () => {
  const out = join(place, 'both.json');
  const args = ['--with', other, '--tasks', 'piqa', '--data', data, '--shots', '0', '--out', out, '--json'];
  const { code, out: printed, err } = await compare(...args);
  expect(code, err).toBe(0);
  const { tasks } = JSON.parse(printed) as { tasks: { tables: { task: string; rows: number }[] } };
  expect(tasks.tables[0]).toMatchObject({ task: 'piqa', rows: 2 });
  expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ format: 'whorl-comparison', tasks });
  expect(existsSync(join(`${out}.tasks`, 'before', 'piqa', '0.json'))).toBe(true);
  expect(err.match(/opening/g), 'each model is opened once').toHaveLength(2);
});

test('with tasks: a plan of all, and a row that lacks what its task needs before anything is measured', async () => {
  const out = join(place, 'planned.json');
  const args = ['--with', other, '--tasks', 'piqa', '--data', data, '--out', out];
  const planned = await compare(...args, '--shots', '0', '--dry-run', '--json');
  expect(planned.code, planned.err).toBe(0);
  const plan = JSON.parse(planned.out) as { writes: { path: string }[]; notes: string[] };
  expect(plan.writes.map(({ path }) => path)).toEqual([
    out,
    ...['before', 'after'].flatMap((name) => [
      join(`${out}.tasks`, name, 'piqa', '0.json'),
      join(`${out}.tasks`, `${name}.samples`, 'samples_piqa_0.jsonl'),
    ]),
  ]);
  expect(plan.notes).toContain('compared: 0 shots: 2 rows of 1 tasks in 4 requests');
  for (const more of [[], ['--dry-run']]) {
    const refused = await compare(...args, '--shots', '0,5', ...more);
    expect(refused.err).toMatch(/piqa has no rows: there is no .*train\.jsonl/);
    expect(existsSync(out)).toBe(false);
  }
});

test.each([
  [['--tasks', 'piqua', '--data', 'rows', '--out', 'x.json'], /did you mean piqa/],
  [['--with', 'nowhere'], /nowhere/],
  [['--tasks', 'piqa', '--data', 'rows'], /--tasks piqa needs --out/],
  [['--text', 'absent.txt'], /absent\.txt does not exist/],
])('%j: one line', async (args, message) => {
  const { code, err } = await compare('--with', other, ...args);
  expect(code).toBeGreaterThan(0);
  expect(err.trim().split('\n').at(-1)).toMatch(message);
});
