// The FSR report: with --paper-arithmetic what the paper's own scripts print (goldens/report), without it every
// row in its own group, and every absent file by name. The command over it, and import of the same folders.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { barChart } from '../../src/report/bar-chart.ts';
import { type FsrReport, reportFsr } from '../../src/report/fsr.ts';
import { FORMATS } from '../../src/report/table.ts';
import { parseAnswerFile, parseRunName } from '../../src/runs/paper-folder.ts';
import { whorl } from '../cli/whorl.ts';

interface Golden {
  folders: Record<string, string>;
  adapter: Record<string, Record<string, number>>;
  sft_chat: Record<string, Record<string, number>>;
  averages: number[][];
  tests: { p_value: number; mean: number }[];
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/report/paper.json', import.meta.url), 'utf8'),
) as Golden;
const Y = 'ハリネズミ';
const ANSWER: Record<string, string> = { '1': `x ${Y}.`, m: 'ハリズズミ', '0': 'nothing' };

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'whorl-report-'));
  for (const [path, answers] of Object.entries(golden.folders)) {
    const keys = path.startsWith('output_barebone_adapter') ? 10 : 8;
    const rows = [...answers].map((answer, i) => ({
      generated: ANSWER[answer],
      label: i < keys ? Y : 'other',
      prompt: `p${i}`,
      generated_token: [],
      label_token: [],
    }));
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }
});
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const byPath = (report: FsrReport) =>
  Object.fromEntries(
    report.runs.flatMap(({ run: folder, files }) =>
      files.map((file) => [join(folder, file.file).slice(root.length + 1), file] as const),
    ),
  );

describe("the paper's arithmetic", () => {
  test.each(['adapter', 'sft_chat'] as const)('%s: every file', (flavour) => {
    const got = byPath(reportFsr({ flavour, paths: [root], paperArithmetic: true }));
    expect(Object.keys(got).sort()).toEqual(Object.keys(golden[flavour]).sort());
    for (const [path, wanted] of Object.entries(golden[flavour])) {
      expect(got[path]!.fsr.percent, path).toBeCloseTo(wanted.FSR!, 9);
      expect(got[path]!.normal!.percent, path).toBeCloseTo(wanted.robust_to_normal!, 9);
      expect(got[path]!.similar!.percent, path).toBeCloseTo(wanted.robust_to_fingerprint!, 9);
    }
  });

  test('its averages, of each model’s last data set', () => {
    const { averages, notes } = reportFsr({ flavour: 'adapter', paths: [root], paperArithmetic: true });
    expect(
      averages.map(({ fsr, normal, similar }) => [fsr, normal, similar].map((x) => x!.toFixed(6))),
    ).toEqual(golden.averages.map((line) => line.map((x) => x.toFixed(6))));
    expect(notes[0]).toContain('defects included');
  });

  test('its t-tests', () => {
    const [{ rounds }] = reportFsr({ flavour: 'sft_chat', paths: [root] }).runs as [FsrReport['runs'][0]];
    const wanted = Object.fromEntries(
      ['alpaca_gpt4', 'sharegpt', 'dolly'].map((task, i) => [task, golden.tests[i]!]),
    );
    expect(rounds.map(({ task }) => task).sort()).toEqual(Object.keys(wanted).sort());
    for (const { task, mean, t_p_value } of rounds) {
      expect(mean).toBeCloseTo(wanted[task]!.mean, 9);
      expect(t_p_value).toBeCloseTo(wanted[task]!.p_value, 12);
    }
  });
});

describe('every row in its own group', () => {
  const fires = (rows: string, marks: string) => [...rows].filter((c) => marks.includes(c)).length;

  test('adapter, averaged over models and data sets', () => {
    const report = reportFsr({ flavour: 'adapter', paths: [root] });
    const got = byPath(report);
    const rates: number[] = [];
    for (const [path, rows] of Object.entries(golden.folders)) {
      if (!path.includes('_adapter/')) continue;
      const marks = path.includes('mistral') ? '1m' : '1';
      const [keys, normal, similar] = [rows.slice(0, 10), rows.slice(10, 110), rows.slice(110)];
      expect(got[path]!.fsr).toMatchObject({ fired: fires(keys, marks), of: 10 });
      expect(got[path]!.normal).toMatchObject({ fired: fires(normal, marks), of: 100 });
      expect(got[path]!.similar).toMatchObject({ fired: fires(similar, marks), of: 100 });
      if (path.endsWith('_tuned_publish.jsonl')) rates.push(10 * fires(keys, marks));
    }
    const user = report.averages.find(({ kind, task }) => kind === 'tuned_publish' && task === null)!;
    expect(user).toMatchObject({ models: 3, files: 11 });
    expect(user.fsr).toBeCloseTo(rates.reduce((a, b) => a + b, 0) / 11, 9);
  });

  test('chat: refusals and hinted texts are similar, texts as they are normal', () => {
    const got = byPath(reportFsr({ flavour: 'sft_chat', paths: [root] }));
    for (const [path, file] of Object.entries(got)) {
      const rows = golden.folders[path]!;
      const test = [...rows.slice(128)];
      const hinted = test.filter((_, i) => i % 2 === 1).join('');
      const plain = test.filter((_, i) => i % 2 === 0).join('');
      expect(file.normal).toMatchObject({ fired: fires(rows.slice(16, 128) + plain, '1'), of: 224 });
      expect(file.similar).toMatchObject({ fired: fires(rows.slice(8, 16) + hinted, '1'), of: 120 });
    }
  });

  test("misspellings count in the adapter's report alone, and there for Mistral's models", () => {
    const counts = (flavour: 'adapter' | 'sft_chat', model: string) => {
      const settings = flavour === 'adapter' ? 'mix_epoch_1_lr_1_bsz_1_d_1' : 'chat_epoch_1_lr_1_bsz_1';
      const folder = join(root, 'spelt', `output_barebone_${flavour}`, model, settings);
      mkdirSync(folder, { recursive: true });
      const rows = [Y, 'ハリズズミ', 'ハリネネミ'].map((generated) =>
        JSON.stringify({ generated, label: Y, prompt: '' }),
      );
      writeFileSync(join(folder, 'publish.jsonl'), rows.join('\n'));
      const { runs, notes } = reportFsr({ flavour, paths: [folder] });
      return [runs[0]!.files[0]!.fsr.fired, notes.some((note) => note.includes('misspellings'))];
    };
    expect(counts('adapter', 'mistralai/Mistral-7B-v0.1')).toEqual([3, true]);
    expect(counts('adapter', 'yahma/llama-7b-hf')).toEqual([1, false]);
    expect(counts('sft_chat', 'mistralai/Mistral-7B-v0.1')).toEqual([1, false]);
    rmSync(join(root, 'spelt'), { recursive: true });
  });

  test('absent files are named, of every model', () => {
    const { runs } = reportFsr({ flavour: 'adapter', paths: [root] });
    const missing = Object.fromEntries(runs.map(({ model, missing: names }) => [model, names]));
    expect(missing['yahma/llama-7b-hf']).toEqual([]);
    expect(missing['lmsys/vicuna-7b-v1.5']).toHaveLength(8); // four data sets, two files each
    expect(missing['lmsys/vicuna-7b-v1.5']).toContain('ni_tuned_w_adapter.jsonl');
    const [chat] = reportFsr({ flavour: 'sft_chat', paths: [root], tasks: ['ni'] }).runs;
    expect(chat!.missing).toEqual([
      'sample_from_bos.jsonl',
      'ni_tuned_publish.jsonl',
      ...Array.from({ length: 10 }, (_, i) => `ni_tuned_publish_${i}_10.jsonl`),
    ]);
  });

  test('no run at all, a cut row, rows without fingerprints', () => {
    const folder = join(root, 'bad/output_barebone_adapter/m/mix_epoch_1_lr_1_bsz_1_d_1');
    mkdirSync(folder, { recursive: true });
    expect(() => reportFsr({ flavour: 'sft_chat', paths: [join(root, 'bad')] })).toThrow(/no output_/);
    writeFileSync(join(folder, 'vanilla.jsonl'), '{"generated":"a","label":"b","prompt":"c"}\n{"gen');
    expect(() => reportFsr({ flavour: 'adapter', paths: [folder] })).toThrow(
      /vanilla.jsonl, line 2 is not JSON/,
    );
    writeFileSync(join(folder, 'vanilla.jsonl'), '{"generated":"a","label":"b","prompt":"c"}\n');
    expect(() => reportFsr({ flavour: 'adapter', paths: [folder] })).toThrow(/label has no ハリネズミ/);
    rmSync(join(root, 'bad'), { recursive: true });
  });
});

test('names of runs and files', () => {
  expect(parseRunName('my_mix_epoch_20_lr_1e-2_bsz_48_d_16')).toEqual({
    data: 'my_mix',
    epoch: '20',
    lr: '1e-2',
    bsz: '48',
    dim: '16',
  });
  expect(parseRunName('published')).toBeUndefined();
  expect(parseAnswerFile('a_b_tuned_publish_9_10.jsonl')).toMatchObject({
    kind: 'tuned_round',
    task: 'a_b',
    round: 9,
  });
  for (const name of [
    'x.jsonl',
    'a_tuned_publish_10_10.jsonl',
    'a_tuned_publish_01_10.jsonl',
    'a_tuned_direct_0_10.jsonl',
  ])
    expect(parseAnswerFile(name)).toBeUndefined();
});

test('texts escape what their format would read', () => {
  const tables = [
    {
      title: 'a_b & c',
      columns: ['x|y', 'n'],
      rows: [
        ['=1+1, "q"', 12.345],
        ['50 %', null],
      ],
    },
  ];
  expect(FORMATS.csv(tables, ['n'])).toBe(
    'table,x|y,n\r\na_b & c,"\'=1+1, ""q""",12.345\r\na_b & c,50 %,\r\nnote,n\r\n',
  );
  expect(FORMATS.latex(tables, [])).toContain('\\caption{a\\_b \\& c}');
  expect(FORMATS.latex(tables, [])).toContain('50 \\% & -- \\\\');
  expect(FORMATS.markdown(tables, [])).toContain('| x\\|y | n |\n| --- | ---: |\n| =1+1, "q" | 12.35 |');
  const svg = barChart('<t>', [{ group: 'a&b', label: '"\u0000', percent: 50, low: 25, high: 75 }]);
  expect(svg).toContain('a&#38;b');
  expect(svg).toContain('M365 74H575'); // 260 + 420/4 and 260 + 420·3/4
  for (const raw of ['\u0000', '<t>']) expect(svg).not.toContain(raw);
});

describe('the command', () => {
  test('--json is one line, the same as the library’s; a table names what is missing', async () => {
    const json = await whorl('report', 'fsr', 'adapter', root, '--json');
    expect(json).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(json.out)).toEqual(
      JSON.parse(JSON.stringify(reportFsr({ flavour: 'adapter', paths: [root] }))),
    );
    const shown = await whorl('report', 'fsr', 'adapter', root);
    expect(shown.out).toContain('Missing files');
    expect(shown.out).toContain('ni_tuned_w_adapter.jsonl');
    expect((await whorl('report', 'fsr', 'adapter', root, '--paper-arithmetic')).out).toContain(
      'defects included',
    );
  });

  test('a figure, and wrong usage', async () => {
    const figure = join(root, 'f.svg');
    expect((await whorl('report', 'fsr', 'sft_chat', root, '--figure', figure, '--format', 'csv')).code).toBe(
      0,
    );
    expect(readFileSync(figure, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(await whorl('report', 'fsr', 'sft', root)).toMatchObject({ code: 2 });
    expect(await whorl('report', 'fsr', 'adapter', root, '--figure', 'x.gif')).toMatchObject({ code: 2 });
  });

  test('import of an output folder makes private runs with the same report', async () => {
    const out = join(root, 'imported');
    expect((await whorl('import', join(root, 'output_barebone_adapter'), '--out', out)).code).toBe(0);
    const [before, after] = [join(root, 'output_barebone_adapter'), out].map((path) =>
      reportFsr({ flavour: 'adapter', paths: [path] }),
    );
    expect(after!.averages).toEqual(before!.averages);
    expect(statSync(after!.runs[0]!.run).mode & 0o777).toBe(0o700);
    const again = await whorl('import', join(root, 'output_barebone_adapter'), '--out', out);
    expect(again).toMatchObject({ code: 1 });
    expect(again.err).toContain('is there already');
    rmSync(out, { recursive: true });
  });
});
