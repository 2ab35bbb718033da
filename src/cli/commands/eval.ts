// `whorl eval`: tasks × shots over local rows, results in lm-evaluation-harness's layout; with --compare two models.

import { join } from 'node:path';
import { Command, Option } from 'commander';
import { checkWritable, writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { OnEvent } from '../../base/events.ts';
import type { EvaluateReport } from '../../evaluate/evaluate.ts';
import type { ModeName } from '../../evaluate/modes.ts';
import { wholeNumber } from '../arguments.ts';
import { computeOptions, type ModelFlags, withModelFlags } from '../model-flags.ts';
import { countText, paint, print, printJson, table, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showTables } from '../show-tables.ts';

interface EvalFlags extends ModelFlags {
  tasks: string;
  shots: string;
  data: string;
  out: string;
  limit?: number;
  taskDir?: string;
  compare?: string;
  margin: number;
  mode: ModeName;
  json?: boolean;
}

/** Percentage points by which a model may be worse and still count as unharmed, fixed before anything is measured. */
const MARGIN = 1;

export function evalCommand(): Command {
  return withModelFlags(new Command('eval'))
    .description(
      "Scores tasks as EleutherAI's lm-evaluation-harness does: the same prompts, metrics and standard errors. The same command again goes on from where it was stopped.",
    )
    .requiredOption(
      '--tasks <names>',
      'tasks, groups or tags with commas between; paper: those of the paper; all',
    )
    .option('--shots <list>', 'examples before each row, with commas between', '0,1,5')
    .requiredOption('--data <folder>', 'rows: {task}/{split}.jsonl or .parquet, with the columns of the hub')
    .requiredOption(
      '--out <folder>',
      "results: {tasks}/{shots}.json; beside it, in FOLDER.samples, each row's",
    )
    .option('--limit <number>', 'most rows of each task', wholeNumber(1))
    .option('--task-dir <folder>', "more tasks: YAML files in the harness's words")
    .option(
      '--compare <model>',
      'a second model, after something was done to the first: paired counts and tests',
    )
    .option(
      '--margin <points>',
      'of --compare: percentage points of loss that still count as none',
      Number,
      MARGIN,
    )
    .addOption(
      new Option('--mode <harness>', "which harness is followed: today's, or v0.4.0 as the paper ran it")
        .choices(['main', 'v0.4.0-seed'])
        .default('main'),
    )
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((flags: EvalFlags) => runEval(flags));
}

async function runEval(flags: EvalFlags): Promise<void> {
  const { compare, out, json, margin } = flags;
  if (!(margin > 0 && margin < 100))
    throw new WhorlError('usage', '--margin is no number of percentage points', 'give one between 0 and 100');
  if (compare === undefined) {
    const report = await withProgress((onEvent) => one(flags, flags.model, out, onEvent));
    if (json)
      printJson(Object.fromEntries(report.results.map(({ shots, content }) => [shots, content.results])));
    else showResults(report);
    return;
  }
  checkWritable(join(out, 'paired.json'));
  const [before, after] = [join(out, 'before'), join(out, 'after')];
  await withProgress(async (onEvent) => {
    await one(flags, flags.model, before, onEvent);
    await one(flags, compare, after, onEvent);
  });
  const [{ pairedReport }, { pairedTables }] = await Promise.all([
    import('../../report/paired.ts'),
    import('../../report/paired-tables.ts'),
  ]);
  const report = await pairedReport(`${before}.samples`, `${after}.samples`, { margin });
  writeJsonAtomic(join(out, 'paired.json'), report);
  if (json) printJson(report);
  else await showTables(pairedTables(report), report.notes);
  tell(paint.dim(`results in ${out}`));
}

/** Evaluates one model. */
async function one(flags: EvalFlags, model: string, out: string, onEvent: OnEvent): Promise<EvaluateReport> {
  const [{ evaluateModel }, { shotsNamed }] = await Promise.all([
    import('../../evaluate/evaluate-model.ts'),
    import('../../evaluate/evaluate.ts'),
  ]);
  const { tasks, data, limit, taskDir, mode } = flags;
  return evaluateModel({
    ...computeOptions(flags),
    model,
    tasks: listed(tasks),
    shots: shotsNamed(flags.shots),
    data,
    out,
    mode,
    onEvent,
    ...(limit !== undefined && { limit }),
    ...(taskDir !== undefined && { taskDir }),
    ...(flags.dtype && { dtype: flags.dtype }),
    ...(flags.batchTokens !== undefined && { batch_tokens: flags.batchTokens }),
  });
}

const listed = (names: string): string[] =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

function showResults({ results }: EvaluateReport): void {
  for (const { shots, content, path } of results) {
    print(paint.bold(`${shots} shots`));
    const rows = Object.entries(content.results as Record<string, Record<string, unknown>>).flatMap(
      ([name, figures]) =>
        Object.entries(figures).flatMap(([key, value]) => {
          const [metric, filter] = key.split(',');
          if (filter === undefined || metric!.endsWith('_stderr') || typeof value !== 'number') return [];
          const error = figures[`${metric}_stderr,${filter}`];
          const rowCount = countText(figures.sample_len as number);
          return [
            [name, key, value.toFixed(4), typeof error === 'number' ? `± ${error.toFixed(4)}` : '', rowCount],
          ];
        }),
    );
    const [head, ...body] = table([['task', 'metric', 'value', 'standard error', 'rows'], ...rows]);
    print(paint.dim(head!));
    for (const line of body) print(line);
    tell(paint.dim(`in ${path}`));
  }
}
