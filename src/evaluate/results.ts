// A results file in the layout of lm-evaluation-harness: metrics as `name,filter`, standard errors beside them, groups,
// versions. Of when and how fast it was made nothing is said, so that the same evaluation is the same bytes.

import type { RowMetrics } from './answers.ts';
import type { Group } from './catalogue.ts';
import { leaves } from './catalogue.ts';
import { AGGREGATIONS, BOOTSTRAP, type Item, pooledError, standardError } from './metrics.ts';
import type { Mode } from './modes.ts';
import { shotsOf } from './requests.ts';
import type { Task } from './task.ts';

type Figures = Record<string, string | number | Record<string, number>>;

export interface TaskResult {
  readonly task: Task;
  /** Rows of the evaluated split, and how many of them were. */
  readonly original: number;
  readonly rows: readonly RowMetrics[];
  /** sha256 of the rows' hashes, one after the other. */
  readonly hash?: string;
}

export interface ResultsOptions {
  readonly shots: number;
  readonly bootstrap?: number;
  readonly mode: Mode;
}

/** Everything of a results file but what names the model. */
export function resultsOf(
  tasks: readonly TaskResult[],
  groups: readonly Group[],
  { shots, bootstrap = BOOTSTRAP, mode }: ResultsOptions,
): Record<string, unknown> {
  const figures = new Map(tasks.map((result) => [result.task.name, taskFigures(result, bootstrap)]));
  const byName = new Map(groups.map((group) => [group.name, group]));
  const grouped = Object.fromEntries(
    groups.map((group) => [
      group.name,
      groupFigures(
        group,
        leaves(group, byName).map((name) => figures.get(name)!),
        mode,
      ),
    ]),
  );
  const each = <T>(of: (result: TaskResult) => T): Record<string, T> =>
    Object.fromEntries(tasks.map((result) => [result.task.name, of(result)]));
  return {
    results: { ...Object.fromEntries(figures), ...grouped },
    ...(groups.length > 0 && { groups: grouped }),
    group_subtasks: Object.fromEntries(groups.map(({ name, members }) => [name, members])),
    configs: each(({ task }) => configOf(task, shotsOf(task, shots))),
    versions: {
      ...each(({ task }) => task.version),
      ...Object.fromEntries(groups.map(({ name, version }) => [name, version])),
    },
    'n-shot': each(({ task }) => shotsOf(task, shots)),
    higher_is_better: each(({ task }) =>
      Object.fromEntries(task.metrics.map(({ metric, higher_is_better }) => [metric, higher_is_better])),
    ),
    'n-samples': each(({ original, rows }) => ({ original, effective: rows.length })),
    task_hashes: Object.fromEntries(
      tasks.flatMap(({ task, hash }) => (hash === undefined ? [] : [[task.name, hash]])),
    ),
  };
}

function configOf(task: Task, num_fewshot: number): Record<string, unknown> {
  const { splits } = task;
  return {
    task: task.name,
    dataset_path: task.dataset_path,
    dataset_name: task.dataset_name,
    training_split: splits.training ?? null,
    validation_split: splits.validation ?? null,
    test_split: splits.test ?? null,
    fewshot_split: splits.fewshot ?? null,
    output_type: task.output_type,
    description: task.description,
    target_delimiter: task.target_delimiter,
    fewshot_delimiter: task.fewshot_delimiter,
    fewshot_config: { sampler: task.sampler },
    num_fewshot,
    metric_list: task.metrics,
    metadata: { version: task.version },
  };
}

function taskFigures({ task, rows }: TaskResult, bootstrap: number): Figures {
  const out: Figures = { name: task.name, alias: task.alias, sample_len: rows.length };
  for (const filter of Object.keys(rows[0] ?? {}))
    for (const { metric, aggregation } of task.metrics) {
      const items: Item[] = rows.map((row) => row[filter]![metric]!);
      out[`${metric},${filter}`] = AGGREGATIONS[aggregation].of(items);
      out[`${metric}_stderr,${filter}`] = standardError(aggregation, items, bootstrap) ?? 'N/A';
    }
  return out;
}

/** Of metrics that all its tasks have: every row weighs alike. */
function groupFigures({ name, alias }: Group, members: readonly Figures[], mode: Mode): Figures {
  const sizes = members.map(({ sample_len }) => sample_len as number);
  const all = sizes.reduce((a, b) => a + b, 0);
  const out: Figures = { alias, name, sample_len: all };
  const counts: Record<string, number> = {};
  for (const key of Object.keys(members[0] ?? {})) {
    const [metric, filter] = key.split(',');
    if (filter === undefined || metric!.endsWith('_stderr') || !members.every((member) => key in member))
      continue;
    const scores = members.map((member) => member[key] as number);
    const errors = members.map((member) => member[`${metric}_stderr,${filter}`]);
    out[key] = scores.reduce((sum, score, i) => sum + score * sizes[i]!, 0) / all;
    out[`${metric}_stderr,${filter}`] = errors.every((error) => typeof error === 'number')
      ? GROUP_ERRORS[mode.groupError](errors, sizes, scores)
      : 'N/A';
    counts[key] = all;
  }
  return { ...out, sample_count: counts };
}

type GroupError = (errors: readonly number[], sizes: readonly number[], scores: readonly number[]) => number;

const GROUP_ERRORS: Readonly<Record<Mode['groupError'], GroupError>> = {
  pooled: pooledError,
  // v0.4.0's, task by task; it depends on how far the scores lie apart, and so is far too large.
  combined(errors, sizes, scores) {
    let [variance, size, score] = [errors[0]! ** 2, sizes[0]!, scores[0]!];
    for (let i = 1; i < errors.length; i++) {
      const [count, next] = [sizes[i]!, scores[i]!];
      score = (score * size + next * count) / (size + count);
      variance =
        ((size - 1) * variance + (count - 1) * errors[i]! ** 2) / (size + count - 1) +
        ((size * count) / ((size + count) * (size + count - 1))) * (score - next) ** 2;
      size += count;
    }
    return Math.sqrt(variance);
  },
};
