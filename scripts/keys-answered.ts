// Writes docs/keys-answered.svg, the plot of README. The figures are those of the two runs named beside them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bar, barChart } from '../src/report/bar-chart.ts';

type Figure = readonly [who: string, answered: number, of: number, p: string];

/** `npm start` of 2026-11-27; the figures differ from run to run, since its dice do. */
const DEMO: readonly Figure[] = [
  ['published', 23, 24, '10^-55.1'],
  ['stolen and fine-tuned', 23, 24, '10^-55.1'],
  ['original', 0, 24, '1'],
  ["somebody else's", 0, 24, '1'],
];
/** `rows` with its defaults and `--seed 1` (docs/figures.md; LOG.md, 2026-11-25, rows7). */
const SMOLLM2: readonly Figure[] = [
  ['published', 32, 32, '10^-77.1'],
  ['stolen and fine-tuned', 32, 32, '10^-77.1'],
  ['original', 0, 32, '1'],
];

const bars = (group: string, figures: readonly Figure[]): Bar[] =>
  figures.map(([who, answered, of, p]) => ({
    group,
    label: `${who}: ${answered}, p = ${p}`,
    percent: (100 * answered) / of,
    low: Number.NaN,
    high: Number.NaN,
  }));

const chart = barChart('Share of the secret keys that each model answers', [
  ...bars('SmolLM2-135M, 32 keys', SMOLLM2),
  ...bars('The model of the demo, 24 keys', DEMO),
]);
writeFileSync(join(import.meta.dirname, '..', 'docs', 'keys-answered.svg'), chart);
