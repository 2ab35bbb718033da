// What a model lost, row by row: the same rows answered before and after. Tests are of paired rows, never of two rounded
// means; the margin of non-inferiority is fixed before anything is measured.

import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WhorlError } from '../base/error.ts';
import { systemError } from '../base/system-errors.ts';
import { binomialTest, greaterTest, holm, meanInterval, tTest } from './statistics.ts';
import { metricFor, tableRow } from './task-metrics.ts';

export interface PairedOptions {
  /** Percentage points of loss that still count as none. */
  readonly margin: number;
  /** Of the tests, and of the intervals 1 - level; default 0.05. */
  readonly level?: number;
}

/** Percentages and percentage points. */
interface PairedFigures {
  readonly task: string;
  readonly shots: number;
  readonly metric: string;
  readonly rows: number;
  readonly before: number;
  readonly after: number;
  /** After minus before, with its interval. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Rows whose metric fell and rose; of right and wrong answers right→wrong and wrong→right. */
  readonly fell: number;
  readonly rose: number;
  /** Exact McNemar of right and wrong answers, two-sided; Student's paired test of other metrics. */
  readonly p_value: number;
  readonly holm_p_value: number;
  /** Against a loss of `margin` or more, one-sided, after Holm. */
  readonly non_inferiority_p_value: number;
  readonly verdict: 'non-inferior' | 'worse' | 'undecided';
}

export interface PairedReport {
  readonly margin: number;
  readonly level: number;
  readonly tables: readonly PairedFigures[];
  readonly notes: readonly string[];
}

interface Sample {
  readonly doc_id: number;
  readonly doc_hash: string;
  readonly prompt_hash: string;
  readonly filter: string;
  readonly metrics: readonly string[];
}

interface Pairs {
  readonly task: string;
  readonly shots: number;
  readonly metric: string;
  readonly before: number[];
  readonly after: number[];
}

const FILE = /^samples_(.+)_(\d+)\.jsonl$/;

/**
 * @param before folder of samples_{task}_{shots}.jsonl, as `whorl eval` writes them beside its results
 * @throws WhorlError `mismatch` where the two have not asked the same rows in the same words
 */
export async function pairedReport(
  before: string,
  after: string,
  options: PairedOptions,
): Promise<PairedReport> {
  const { margin, level = 0.05 } = options;
  const [here, there] = [filesOf(before), filesOf(after)];
  const common = here.filter((name) => there.includes(name));
  if (common.length === 0)
    throw new WhorlError(
      'mismatch',
      `${before} and ${after} have no task in common`,
      'evaluate both on the same tasks',
    );
  const groups = new Map<string, Pairs>();
  for (const name of common) await addPairs(groups, join(before, name), join(after, name), name);
  const raw = [...groups.values()].map((pairs) => figures(pairs, margin, level));
  const [p, inferior] = [
    holm(raw.map(({ p_value }) => p_value)),
    holm(raw.map((each) => each.non_inferiority_p_value)),
  ];
  const only = [...here, ...there].filter((name) => !common.includes(name));
  return {
    margin,
    level,
    tables: raw.map((each, i) => ({
      ...each,
      holm_p_value: p[i]!,
      non_inferiority_p_value: inferior[i]!,
      verdict:
        inferior[i]! <= level
          ? 'non-inferior'
          : each.difference < 0 && p[i]! <= level
            ? 'worse'
            : 'undecided',
    })),
    notes: [
      `Margin of non-inferiority: ${margin} percentage points. p-values after Holm over ${raw.length} tasks × shots; intervals at ${100 * (1 - level)} %, not adjusted.`,
      ...(only.length > 0 ? [`Of one model only, and left out: ${only.join(', ')}.`] : []),
    ],
  };
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => FILE.test(name))
      .sort();
  } catch (cause) {
    throw systemError(cause, folder, 'reading') ?? cause;
  }
}

async function addPairs(
  groups: Map<string, Pairs>,
  before: string,
  after: string,
  name: string,
): Promise<void> {
  const [, task = '', shotsText = ''] = FILE.exec(name)!;
  const row = tableRow(task);
  const key = `${row} ${shotsText}`;
  const [first, second] = [samples(before), samples(after)];
  let line = 0;
  for (;;) {
    const [a, b] = await Promise.all([first.next(), second.next()]);
    if (a.done || b.done) {
      if (a.done !== b.done) throw unlike(before, after, `${a.done ? after : before} has more rows`);
      return;
    }
    line++;
    if (['doc_id', 'filter', 'doc_hash', 'prompt_hash'].some((field) => a.value[field] !== b.value[field]))
      throw unlike(before, after, `line ${line} is another row or another prompt`);
    const metric = metricFor(row, a.value.metrics as readonly string[]);
    if (metric === undefined) continue;
    const pairs = groups.get(key) ?? { task: row, shots: Number(shotsText), metric, before: [], after: [] };
    groups.set(key, pairs);
    pairs.before.push(percent(a.value[metric], `${before}, line ${line}`));
    pairs.after.push(percent(b.value[metric], `${after}, line ${line}`));
  }
}

const unlike = (before: string, after: string, why: string): WhorlError =>
  new WhorlError('mismatch', `${before} and ${after}: ${why}`, 'evaluate both on the same rows');

async function* samples(path: string): AsyncGenerator<Sample & Readonly<Record<string, unknown>>> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let count = 0;
  const seen = new Set<number>();
  for await (const line of lines) {
    count++;
    let sample: Sample & Readonly<Record<string, unknown>>;
    try {
      sample = JSON.parse(line) as Sample & Readonly<Record<string, unknown>>;
    } catch (cause) {
      throw new WhorlError('bad-file', `${path}, line ${count} is not valid JSON`, undefined, { cause });
    }
    // A row has a line for each filter; the first one counts.
    if (seen.has(sample.doc_id)) continue;
    seen.add(sample.doc_id);
    yield sample;
  }
}

/** A number as it is; of (gold, predicted) whether they are equal. */
function percent(value: unknown, where: string): number {
  if (typeof value === 'number') return 100 * value;
  if (Array.isArray(value)) return value[0] === value[1] ? 100 : 0;
  throw new WhorlError('bad-file', `${where} has no number as its metric`);
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

function figures(
  { task, shots, metric, before, after }: Pairs,
  margin: number,
  level: number,
): PairedFigures {
  const differences = after.map((value, i) => value - before[i]!);
  const fell = differences.filter((x) => x < 0).length;
  const rose = differences.filter((x) => x > 0).length;
  const isBinary = [...before, ...after].every((value) => value === 0 || value === 100);
  const { low, high } =
    differences.length > 1 ? meanInterval(differences, 1 - level) : { low: Number.NaN, high: Number.NaN };
  return {
    task,
    shots,
    metric: metric === 'mcc' || (metric === 'f1' && isBinary) ? `acc of ${metric}` : metric,
    rows: before.length,
    before: mean(before),
    after: mean(after),
    difference: mean(differences),
    low,
    high,
    fell,
    rose,
    p_value: isBinary ? mcNemar(fell, rose) : pairedTest(differences),
    holm_p_value: Number.NaN,
    non_inferiority_p_value: greaterTest(differences, -margin),
    verdict: 'undecided',
  };
}

/** Exact: of the rows that changed, each way is as probable as the other. */
const mcNemar = (fell: number, rose: number): number =>
  fell + rose === 0 ? 1 : binomialTest(Math.min(fell, rose), fell + rose, 1, 2);

function pairedTest(differences: readonly number[]): number {
  const { p_value } = tTest(differences, 0);
  return Number.isNaN(p_value) ? 1 : p_value;
}
