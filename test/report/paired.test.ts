// Paired tests equal scipy's and statsmodels': goldens/report/paired.json.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pairedReport } from '../../src/report/paired.ts';

interface Case {
  readonly before: number[];
  readonly after: number[];
  readonly fell: number;
  readonly rose: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly holm_p_value: number;
  readonly p_value: number;
  readonly holm_inferiority: number;
}

const { margin, cases } = JSON.parse(
  readFileSync(new URL('../../goldens/report/paired.json', import.meta.url), 'utf8'),
) as { margin: number; cases: Case[] };

const place = mkdtempSync(join(tmpdir(), 'whorl-paired-'));

function write(side: string, task: string, values: readonly number[], hash = 'h', metric = 'acc'): string {
  const folder = join(place, side);
  mkdirSync(folder, { recursive: true });
  const lines = values.map((value, doc_id) =>
    JSON.stringify({
      doc_id,
      doc_hash: `${doc_id}`,
      prompt_hash: hash,
      filter: 'none',
      metrics: [metric],
      [metric]: value,
    }),
  );
  writeFileSync(join(folder, `samples_${task}_0.jsonl`), `${lines.join('\n')}\n`);
  return folder;
}

test('counts, intervals and p-values are those of scipy', async () => {
  for (const [i, { before, after }] of cases.entries()) {
    write('before', `task${i}`, before);
    write('after', `task${i}`, after);
  }
  const { tables } = await pairedReport(join(place, 'before'), join(place, 'after'), { margin });
  for (const [i, each] of cases.entries()) {
    const ours = tables[i]!;
    expect(ours).toMatchObject({
      task: `task${i}`,
      fell: each.fell,
      rose: each.rose,
      rows: each.before.length,
    });
    for (const [key, value] of [
      ['difference', each.difference],
      ['low', each.low],
      ['high', each.high],
      ['p_value', each.p_value],
      ['holm_p_value', each.holm_p_value],
      ['non_inferiority_p_value', each.holm_inferiority],
    ] as const)
      expect(Math.abs(ours[key] - value), `${i} ${key}: ${ours[key]}, scipy ${value}`).toBeLessThan(
        1e-9 * Math.max(1, Math.abs(value)),
      );
  }
  expect(new Set(tables.map(({ verdict }) => verdict))).toEqual(
    new Set(['non-inferior', 'worse', 'undecided']),
  );
});

test('subjects of mmlu are one row, and other rows or prompts are refused', async () => {
  const before = write('mmlu-a', 'mmlu_anatomy', [1, 0, 1]);
  write('mmlu-a', 'mmlu_virology', [1, 1]);
  const after = write('mmlu-b', 'mmlu_anatomy', [1, 0, 0]);
  write('mmlu-b', 'mmlu_virology', [0, 1]);
  const { tables } = await pairedReport(before, after, { margin });
  expect(tables).toHaveLength(1);
  expect(tables[0]).toMatchObject({ task: 'mmlu', rows: 5, fell: 2, rose: 0, p_value: 0.5 });
  write('mmlu-b', 'mmlu_virology', [0, 1], 'other');
  await expect(pairedReport(before, after, { margin })).rejects.toThrow(
    /line 1 is another row or another prompt/,
  );
  write('mmlu-b', 'mmlu_virology', [0, 1, 1]);
  await expect(pairedReport(before, after, { margin })).rejects.toThrow(/has more rows/);
});

test('of (gold, predicted) a row is right where they are equal', async () => {
  const pairs = (list: number[][]) => list as unknown as number[];
  const before = write(
    'mcc-a',
    'cola',
    pairs([
      [0, 0],
      [1, 0],
      [1, 1],
    ]),
    'h',
    'mcc',
  );
  const after = write(
    'mcc-b',
    'cola',
    pairs([
      [0, 1],
      [1, 1],
      [1, 1],
    ]),
    'h',
    'mcc',
  );
  const { tables } = await pairedReport(before, after, { margin });
  expect(tables[0]).toMatchObject({ metric: 'acc of mcc', fell: 1, rose: 1, difference: 0, p_value: 1 });
});
