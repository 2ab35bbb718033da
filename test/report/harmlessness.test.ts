// The harmlessness report over made-up results equals the paper's own: goldens/report. Over the paper's 579 files, where
// WHORL_PAPER_RESULTS names its checkout's harmlessness_eval, likewise (tables by make-harmlessness.py --own beside it).

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type HarmlessnessReport,
  type ModelTable,
  reportHarmlessness,
} from '../../src/report/harmlessness.ts';
import { harmlessnessFigure } from '../../src/report/harmlessness-figure.ts';
import { harmlessnessTables } from '../../src/report/harmlessness-tables.ts';
import { whorl } from '../cli/whorl.ts';

interface PaperTable {
  readonly name: string;
  readonly rows: string[][];
}

const { files, tables } = JSON.parse(
  readFileSync(new URL('../../goldens/report/harmlessness.json', import.meta.url), 'utf8'),
) as { files: Record<string, unknown>; tables: PaperTable[] };

const root = mkdtempSync(join(tmpdir(), 'whorl-harm-'));
for (const [path, content] of Object.entries(files)) {
  const file = join(root, 'harmlessness_eval', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(content));
}

/** A row of the paper's table: numbers as numbers, `nan` as nothing. */
const paperRow = (row: readonly string[]): unknown[] =>
  row.map((cell, i) => (i < 2 ? cell : cell === 'nan' ? null : Number(cell)));

const ourRows = ({ tasks, mean }: ModelTable): unknown[][] => [
  ...tasks.map(({ task, metric, cells }) => [
    task,
    metric,
    ...cells.flatMap(({ before, after }) => [before, after]),
  ]),
  ['mean', '-', ...mean.flatMap(({ before, after }) => [before, after])],
];

function expectPaper(report: HarmlessnessReport, paper: readonly PaperTable[]): void {
  expect(paper.length).toBeGreaterThan(0);
  for (const { name, rows } of paper) {
    const model = report.models.find(({ run }) => run.endsWith(name))!;
    expect(ourRows(model), name).toEqual(rows.map(paperRow));
  }
}

describe('over made-up results', () => {
  const report = reportHarmlessness({ flavour: 'adapter', paths: [root] });

  test("has the paper's tables", () => expectPaper(report, tables));

  test('marks what two versions of the harness made, and names what is missing or the same', () => {
    const [one, two] = report.models;
    for (const { cells } of one!.tasks)
      for (const { shots, difference, versions_differ } of cells)
        if (difference !== null) expect(versions_differ).toBe(shots === 0);
    expect(one!.missing).toEqual({
      before: expect.arrayContaining(['mmlu', 'hellaswag', 'arc_easy', 'arc_challenge']) as unknown,
      after: expect.arrayContaining(['lambada_openai', 'lambada_standard', 'hellaswag']) as unknown,
    });
    expect(one!.missing.after).not.toContain('mmlu');
    expect(two!.same_digits).toEqual(['anli_r1,anli_r2,anli_r3 at 1 shots']);
    expect(one!.same_digits).toEqual([]);
    expect(harmlessnessTables(report)[0]!.rows[0]![4]).toMatch(/^-?[\d.]+ \*$/);
  });

  test.each([
    ['markdown', /\| mean \| - \|/],
    ['latex', /\\begin\{tabular\}/],
    ['csv', /b\/two/],
    ['json', /"versions_differ":true/],
    ['table', /mean/],
  ])('is printed as %s', async (format, words) => {
    const { code, out, err } = await whorl('report', 'harmlessness', 'adapter', root, '--format', format);
    expect(code, err).toBe(0);
    expect(out).toMatch(words);
  });

  test('draws the means of each model', async () => {
    const figure = join(root, 'means.svg');
    const { code, err } = await whorl(
      'report',
      'harmlessness',
      'adapter',
      root,
      '--figure',
      figure,
      '--json',
    );
    expect(code, err).toBe(0);
    const svg = readFileSync(figure, 'utf8');
    expect(svg.match(/<g transform/g)).toHaveLength(report.models.length);
    // A mark each for a mean that is there, beside those of the legend.
    const means = (side: 'before' | 'after') =>
      report.models.flatMap(({ mean }) => mean).filter((each) => each[side] !== null).length;
    expect(svg.match(/<circle/g)).toHaveLength(means('after') + 1);
    expect(svg.match(/width="10" height="10"/g)).toHaveLength(means('before') + 1);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    const gif = await whorl('report', 'harmlessness', 'adapter', root, '--figure', 'x.gif');
    expect(gif).toMatchObject({ code: 2 });
  });

  test('a higher mean stands higher', () => {
    const [first] = report.models;
    const at = (before: number, after: number): number[] => {
      const mean = [{ shots: 0, before, after, difference: after - before }];
      const svg = harmlessnessFigure({ ...report, models: [{ ...first!, mean }] });
      return [/<rect x="[\d.]+" y="([\d.]+)" width="10"/g, /<circle cx="[\d.]+" cy="([\d.]+)"/g].map((mark) =>
        Number([...svg.matchAll(mark)].at(-1)![1]),
      );
    };
    const [before, after] = at(40, 60);
    expect(after).toBeLessThan(before!);
    const [same, equal] = at(50, 50);
    expect(equal).toBe(same! + 5); // a square's y is its corner
  });

  test('says where there is nothing', async () => {
    const { code, err } = await whorl('report', 'harmlessness', 'sft_chat', root);
    expect(code).toBe(1);
    expect(err).toMatch(/no model of flavour sft_chat has results before and after/);
  });

  test('names a file that is none', () => {
    const bad = mkdtempSync(join(tmpdir(), 'whorl-harm-'));
    for (const kind of ['vanilla/m', 'fingerprinted_adapter/m/mix_epoch_1_lr_1_bsz_1_d_1'])
      mkdirSync(join(bad, kind, 'piqa'), { recursive: true });
    writeFileSync(join(bad, 'vanilla/m/piqa/0.json'), '{"results": {"piqa": 1}}');
    writeFileSync(join(bad, 'fingerprinted_adapter/m/mix_epoch_1_lr_1_bsz_1_d_1/piqa/0.json'), '{');
    expect(() => reportHarmlessness({ flavour: 'adapter', paths: [bad] })).toThrow(
      /piqa\/0\.json is no results file/,
    );
  });
});

const own = process.env.WHORL_PAPER_RESULTS;
test.skipIf(own === undefined)("over the paper's own files has the paper's own tables", () => {
  const printed = readFileSync(join(own!, '..', 'own-tables.txt'), 'utf8');
  const [adapter, chat] = printed
    .split('\n')
    .filter((line) => line.startsWith('[{'))
    .map((line) => JSON.parse(line) as PaperTable[]);
  expectPaper(reportHarmlessness({ flavour: 'adapter', paths: [own!] }), adapter!);
  expectPaper(reportHarmlessness({ flavour: 'sft_chat', paths: [own!] }), chat!);
});
