// What a fingerprint cost: a vanilla model and published ones over the rows of eight tasks. Paired table, non-inferiority, and how
// many choices changed at all (the likeliest of a row's choices, of raw log-likelihoods), with the largest change of one.
//   npx tsx bench/harmless.ts --model VANILLA [--published FOLDER]... --out DIR [--rows 400] [--shots 0] [--data DIR] [--text logiqa_test.txt] [--limit N] [--threads N]

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeJsonAtomic } from '../src/base/atomic.ts';
import { evaluateModel } from '../src/evaluate/evaluate-model.ts';
import { pairedReport } from '../src/report/paired.ts';
import { pairedTables } from '../src/report/paired-tables.ts';
import { FORMATS } from '../src/report/table.ts';
import { HARMLESS_TASKS, writeHarmlessRows } from './harmless-rows.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    published: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
    rows: { type: 'string', default: '400' },
    shots: { type: 'string', default: '0' },
    data: { type: 'string' },
    text: { type: 'string' },
    limit: { type: 'string' },
    margin: { type: 'string', default: '1' },
    seed: { type: 'string', default: 'harmless' },
    threads: { type: 'string' },
  },
});
const { model, out, published } = values;
if (!model || !out) throw new Error('give --model VANILLA and --out DIR');
const data = values.data ?? join(out, 'rows');
if (values.data === undefined) writeHarmlessRows(data, Number(values.rows), values.seed, values.text);

/** The same call again goes on where it was stopped. */
async function evaluated(who: string, name: string): Promise<string> {
  const folder = join(out!, name);
  const started = performance.now();
  await evaluateModel({
    ...{ model: who, out: folder, tasks: HARMLESS_TASKS, data },
    shots: values.shots.split(',').map(Number),
    ...(values.limit !== undefined && { limit: Number(values.limit) }),
    ...(values.threads !== undefined && { threads: Number(values.threads) }),
  });
  console.error(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return `${folder}.samples`;
}

/** Log-likelihoods of each row's choices, in the order of the file. */
const choicesIn = (path: string): number[][] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      (JSON.parse(line) as { resps: [[string, string]][] }).resps.map(([[likelihood]]) => Number(likelihood)),
    );
const best = (of: readonly number[]): number => of.indexOf(Math.max(...of));

interface Changes {
  readonly rows: number;
  readonly choices_changed: number;
  readonly largest_change: number;
}

function changes(before: string, after: string): Changes {
  let [rows, changed, largest] = [0, 0, 0];
  for (const name of readdirSync(before).filter((file) => file.endsWith('.jsonl'))) {
    const [was, is] = [choicesIn(join(before, name)), choicesIn(join(after, name))];
    for (const [i, row] of was.entries()) {
      rows++;
      if (best(row) !== best(is[i]!)) changed++;
      for (const [j, value] of row.entries()) largest = Math.max(largest, Math.abs(value - is[i]![j]!));
    }
  }
  return { rows, choices_changed: changed, largest_change: largest };
}

const vanilla = await evaluated(model, 'vanilla');
const found: object[] = [];
for (const [i, folder] of published.entries()) {
  const samples = await evaluated(folder, `published-${i}`);
  const report = await pairedReport(vanilla, samples, { margin: Number(values.margin) });
  const moved = changes(vanilla, samples);
  found.push({ published: folder, ...moved, ...report });
  console.log(FORMATS.markdown(pairedTables(report, folder), report.notes));
  console.log(
    `${folder}: ${moved.choices_changed} of ${moved.rows} choices changed, largest change of a log-likelihood ${moved.largest_change.toExponential(2)} nats\n`,
  );
}
writeJsonAtomic(join(out, 'harmless.json'), found);
