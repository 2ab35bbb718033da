// `whorl eval`: tasks × shots over local rows, results in lm-evaluation-harness's layout; with --compare two models.

import { join } from 'node:path';
import { Command } from 'commander';
import { checkWritable, writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { EvaluateReport } from '../../evaluate/evaluate.ts';
import { evaluateBoth, planBoth } from '../both-models.ts';
import { runEvaluateFleet } from '../eval-fleet.ts';
import { FLEET, MODELS, refuseFleetAlone } from '../fleet-flags.ts';
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
  model: text('<model>', `${ASKED.model.words}; or --models`),
};
const OWN = {
  shots: SHOTS,
  compare: text('<model>', 'a second model, after something was done to the first: paired counts and tests'),
  margin: MARGIN,
  ...MODELS,
  ...FLEET,
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

async function runEval(options: Given<typeof OPTIONS>, own: Given<typeof OWN>): Promise<void> {
  if (own.models !== undefined) return runEvaluateFleet(options, { ...own, models: own.models });
  refuseFleetAlone(own);
  const { model } = options;
  if (model === undefined)
    throw new WhorlError('usage', 'no model is named', 'give --model, or --models with a list');
  return runOne({ ...options, model }, own);
}

async function runOne(
  options: Given<typeof OPTIONS> & { readonly model: string },
  { shots: listed, compare, margin, dryRun, json }: Given<typeof OWN>,
): Promise<void> {
  const [{ evaluateModel }, { shotsNamed }] = await Promise.all([
    import('../../evaluate/evaluate-model.ts'),
    import('../../evaluate/evaluate.ts'),
  ]);
  const { model, out, ...asked } = { ...options, shots: shotsNamed(listed) };
  const both = compare === undefined ? undefined : { model, other: compare, folder: out };
  const paired = join(out, 'paired.json');
  if (dryRun) {
    const plan = await withProgress((onEvent) =>
      both
        ? planBoth({ ...asked, onEvent }, both)
        : evaluateModel({ ...asked, model, out, onEvent, dryRun: true }),
    );
    const writes = both ? [...plan.writes, { path: paired, what: 'paired counts and tests' }] : plan.writes;
    return showPlan({ ...plan, writes }, json);
  }
  if (!both) {
    const report = await withProgress((onEvent) => evaluateModel({ ...asked, model, out, onEvent }));
    if (json)
      printJson(Object.fromEntries(report.results.map(({ shots, content }) => [shots, content.results])));
    else showResults(report);
    return;
  }
  checkWritable(paired);
  const report = await withProgress((onEvent) => evaluateBoth({ ...asked, onEvent }, both, margin));
  writeJsonAtomic(paired, report);
  if (json) printJson(report);
  else {
    const { pairedTables } = await import('../../report/paired-tables.ts');
    await showTables(pairedTables(report), report.notes);
  }
  tell(paint.dim(`results in ${out}`));
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
