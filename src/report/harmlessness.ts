// What the fingerprint cost, as the paper reports it: per model the paper's metric of each task before and after, at each
// number of shots, and their mean. Beside it what those two columns do not say: other harness, same digits, missing files.

import { WhorlError } from '../base/error.ts';
import {
  type EvaluatedModel,
  evaluatedModels,
  evaluationFolders,
  type ResultsFile,
  resultsFiles,
} from '../runs/harmlessness-folder.ts';
import type { Flavour } from '../runs/paper-folder.ts';
import { metricFor, PAPER_METRICS } from './task-metrics.ts';

export interface HarmlessnessOptions {
  readonly flavour: Flavour;
  /** Folders with vanilla/ and fingerprinted_…/ in them, or above such. */
  readonly paths: readonly string[];
}

/** Percentages, rounded to two decimals as the paper rounds them before it takes means. */
interface Cell {
  readonly shots: number;
  readonly before: number | null;
  readonly after: number | null;
  readonly difference: number | null;
  /** Made by two versions of the harness. */
  readonly versions_differ: boolean;
}

interface TaskRow {
  readonly task: string;
  readonly metric: string;
  readonly cells: readonly Cell[];
}

export interface ModelTable {
  readonly model: string;
  readonly run: string;
  /** Folder of the results before. */
  readonly vanilla: string;
  readonly tasks: readonly TaskRow[];
  readonly mean: readonly Omit<Cell, 'versions_differ'>[];
  /** Of the paper's tasks, those no file has. */
  readonly missing: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** `{tasks} at {n} shots` whose figures, standard errors included, are the same before and after. */
  readonly same_digits: readonly string[];
}

export interface HarmlessnessReport {
  readonly flavour: Flavour;
  readonly models: readonly ModelTable[];
  /** Fingerprinted models without a vanilla one, by name. */
  readonly without_vanilla: readonly string[];
  readonly notes: readonly string[];
}

export const SHOTS = [0, 1, 5] as const;

/** @throws WhorlError `missing-file` where no model of that flavour has results */
export function reportHarmlessness({ flavour, paths }: HarmlessnessOptions): HarmlessnessReport {
  const models: ModelTable[] = [];
  const without: string[] = [];
  for (const folder of paths.flatMap(evaluationFolders)) {
    const vanilla = new Map(evaluatedModels(folder, 'vanilla').map((each) => [each.model, each]));
    for (const after of evaluatedModels(folder, flavour)) {
      const before = vanilla.get(after.model);
      if (before) models.push(modelTable(before, after));
      else without.push(after.path);
    }
  }
  if (models.length === 0)
    throw new WhorlError(
      'missing-file',
      `no model of flavour ${flavour} has results before and after below ${paths.join(', ')}`,
      'name the folder with vanilla/ and fingerprinted_…/',
    );
  return { flavour, models, without_vanilla: without, notes: notes(models, without) };
}

/** Task → shots → value and the file it stands in. */
type Performance = ReadonlyMap<
  string,
  { readonly metric: string; readonly at: ReadonlyMap<number, { value: number; file: ResultsFile }> }
>;

/** A task's name in its file says whose score it is: of mmlu and headqa the parts or the whole are left out, as in the paper. */
const isLeftOut = (task: string): boolean => task === 'headqa' || task.startsWith('mmlu_');

function performance(files: readonly ResultsFile[]): Performance {
  const out = new Map<string, { metric: string; at: Map<number, { value: number; file: ResultsFile }> }>();
  for (const file of files)
    for (const [task, figures] of Object.entries(file.results)) {
      if (isLeftOut(task)) continue;
      const there = Object.keys(figures).flatMap((key) =>
        key.endsWith(',none') && !key.includes('_stderr') ? [key.slice(0, -5)] : [],
      );
      const metric = metricFor(task, there);
      const value = metric === undefined ? undefined : figures[`${metric},none`];
      if (metric === undefined || typeof value !== 'number') continue;
      const row = out.get(task) ?? { metric, at: new Map() };
      row.at.set(file.shots, { value: rounded(value * 100), file });
      out.set(task, row);
    }
  return out;
}

/** Two decimals as Python rounds: of two that are equally near the even one. */
function rounded(value: number): number {
  const hundredths = value * 100;
  const isTie =
    Number.isInteger(value * 8) && !Number.isInteger(hundredths) && Number.isInteger(hundredths * 2);
  if (!isTie) return Number(value.toFixed(2));
  const below = Math.floor(hundredths);
  return (below % 2 === 0 ? below : below + 1) / 100;
}

function modelTable(vanilla: EvaluatedModel, fingerprinted: EvaluatedModel): ModelTable {
  const [before, after] = [vanilla, fingerprinted].map(resultsFiles) as [ResultsFile[], ResultsFile[]];
  const [first, second] = [performance(before), performance(after)];
  const tasks = [...first.keys()].filter((task) => second.has(task)).sort();
  const rows = tasks.map((task): TaskRow => {
    const [a, b] = [first.get(task)!, second.get(task)!];
    return {
      task,
      metric: a.metric,
      cells: SHOTS.map((shots) => cell(shots, a.at.get(shots), b.at.get(shots))),
    };
  });
  const paper = Object.keys(PAPER_METRICS);
  return {
    model: fingerprinted.model,
    run: fingerprinted.path,
    vanilla: vanilla.path,
    tasks: rows,
    mean: SHOTS.map((shots, i) => {
      const of = (side: 'before' | 'after') => mean(rows.map(({ cells }) => cells[i]![side]));
      const [a, b] = [of('before'), of('after')];
      return { shots, before: a, after: b, difference: a === null || b === null ? null : rounded(b - a) };
    }),
    missing: {
      before: paper.filter((task) => !first.has(task)),
      after: paper.filter((task) => !second.has(task)),
    },
    same_digits: before.flatMap((file) => {
      const other = after.find(({ tasks: name, shots }) => name === file.tasks && shots === file.shots);
      const same = other !== undefined && JSON.stringify(other.results) === JSON.stringify(file.results);
      return same ? [`${file.tasks} at ${file.shots} shots`] : [];
    }),
  };
}

interface Value {
  readonly value: number;
  readonly file: ResultsFile;
}

function cell(shots: number, before: Value | undefined, after: Value | undefined): Cell {
  const both = before !== undefined && after !== undefined;
  return {
    shots,
    before: before?.value ?? null,
    after: after?.value ?? null,
    difference: both ? rounded(after.value - before.value) : null,
    versions_differ: both && before.file.version !== after.file.version,
  };
}

function mean(values: readonly (number | null)[]): number | null {
  const there = values.filter((value) => value !== null);
  return there.length === 0 ? null : rounded(there.reduce((sum, x) => sum + x, 0) / there.length);
}

function notes(models: readonly ModelTable[], without: readonly string[]): string[] {
  const cells = models
    .flatMap(({ tasks }) => tasks.flatMap((row) => row.cells))
    .filter((each) => each.difference !== null);
  const other = cells.filter((each) => each.versions_differ).length;
  return [
    'A mean of rounded metrics says little of a single task: `whorl eval --mode` keeps rows, whose pairs are tested.',
    ...(other > 0
      ? [
          `* ${other} of ${cells.length} pairs were made by two versions of the harness: their difference is not of the model alone.`,
        ]
      : []),
    ...models.flatMap(({ model, same_digits }) =>
      same_digits.length > 0
        ? [`${model}: after equals before in every digit: ${same_digits.join('; ')}.`]
        : [],
    ),
    ...models.flatMap(({ model, missing }) =>
      (['before', 'after'] as const).flatMap((side) =>
        missing[side].length > 0 ? [`${model}: no results ${side}: ${missing[side].join(', ')}.`] : [],
      ),
    ),
    ...(without.length > 0 ? [`Left out, no vanilla results: ${without.join(', ')}.`] : []),
  ];
}
