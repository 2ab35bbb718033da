// `whorl eval`: tasks × shots over local rows, results in lm-evaluation-harness's layout; with --compare two models.

import { join } from 'node:path';
import { Command } from 'commander';
import { checkWritable, writeJsonAtomic } from '../../base/atomic.ts';
import type { DryRun } from '../../base/dry-run.ts';
import type { OnEvent } from '../../base/events.ts';
import type { EvaluateReport } from '../../evaluate/evaluate.ts';
import { ASKED } from '../model-flags.ts';
import {
  byDefault,
  DRY_RUN,
  type Given,
  given,
  JSON_LINE,
  oneOf,
  required,
  text,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { countText, paint, print, printJson, table, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { showTables } from '../show-tables.ts';
import { MARGIN, SHOTS, TASKS } from '../task-options.ts';

const OPTIONS = {
  tasks: required(TASKS),
  data: required(text('<folder>', 'rows: {task}/{split}.jsonl or .parquet, with the columns of the hub')),
  out: required(text('<folder>', "results: {tasks}/{shots}.json; beside it, in FOLDER.samples, each row's")),
  limit: wholeNumber('<number>', 1, 'most rows of each task'),
  taskDir: text('<folder>', "more tasks: YAML files in the harness's words"),
  mode: byDefault(
    oneOf(
      '<harness>',
      ['main', 'v0.4.0-seed'],
      "which harness is followed: today's, or v0.4.0 as the paper ran it",
    ),
    'main',
  ),
  ...ASKED,
};
const OWN = {
  shots: SHOTS,
  compare: text('<model>', 'a second model, after something was done to the first: paired counts and tests'),
  margin: MARGIN,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function evalCommand(): Command {
  return withOptions(new Command('eval'), { ...OPTIONS, ...OWN })
    .description(
      "Scores tasks as EleutherAI's lm-evaluation-harness does: the same prompts, metrics and standard errors. The same command again goes on from where it was stopped.",
    )
    .action((_, called: Command) => runEval(given(called, OPTIONS), given(called, OWN)));
}

async function runEval(
  options: Given<typeof OPTIONS>,
  { shots: asked, compare, margin, dryRun, json }: Given<typeof OWN>,
): Promise<void> {
  const [{ evaluateModel }, { shotsNamed }] = await Promise.all([
    import('../../evaluate/evaluate-model.ts'),
    import('../../evaluate/evaluate.ts'),
  ]);
  const { model, out } = options;
  const shots = shotsNamed(asked);
  const [before, after] = [join(out, 'before'), join(out, 'after')];
  if (dryRun) {
    const each =
      compare === undefined ? [[model, out] as const] : [[model, before] as const, [compare, after] as const];
    const plans = await withProgress((onEvent) =>
      inTurn(each, ([of, folder]) =>
        evaluateModel({ ...options, shots, model: of, out: folder, onEvent, dryRun: true }),
      ),
    );
    return showPlan(compare === undefined ? plans[0]! : ofBoth(plans, join(out, 'paired.json')), json);
  }
  const one = (of: string, folder: string, onEvent: OnEvent): Promise<EvaluateReport> =>
    evaluateModel({ ...options, shots, model: of, out: folder, onEvent });
  if (compare === undefined) {
    const report = await withProgress((onEvent) => one(model, out, onEvent));
    if (json)
      printJson(Object.fromEntries(report.results.map(({ shots, content }) => [shots, content.results])));
    else showResults(report);
    return;
  }
  checkWritable(join(out, 'paired.json'));
  await withProgress(async (onEvent) => {
    await one(model, before, onEvent);
    await one(compare, after, onEvent);
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

async function inTurn<A, R>(list: readonly A[], call: (one: A) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (const one of list) out.push(await call(one));
  return out;
}

/** Of `--compare`: what both models' evaluations write, and what is made of them. */
function ofBoth([first, second]: readonly DryRun[], paired: string): DryRun {
  const [a, b] = [first!, second!];
  return {
    ...a,
    models: [...a.models, ...b.models.map((model) => ({ ...model, role: 'compared' }))],
    writes: [...a.writes, ...b.writes, { path: paired, what: 'paired counts and tests' }],
    notes: [...a.notes, ...b.notes.map((note) => `compared: ${note}`)],
  };
}

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
