// `whorl eval`: tasks × shots over rows, results in lm-evaluation-harness's layout; with --compare two models, with --mode
// the paper's own folders.

import { join } from 'node:path';
import { Command } from 'commander';
import { checkWritable, writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { EvaluateReport } from '../../evaluate/evaluate.ts';
import { FLAVOURS, type Flavour } from '../../runs/paper-folder.ts';
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
  made,
  named,
  oneOf,
  optional,
  refuseAlone,
  required,
  text,
  toggle,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { countText, paint, print, printJson, shownText, table, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { showTables } from '../show-tables.ts';
import { MARGIN, SHOTS, TASKS } from '../task-options.ts';

const OPTIONS = {
  tasks: required(TASKS),
  data: text(
    '<folder>',
    'rows: {task}/{split}.jsonl or .parquet, with the columns of the hub (default: the files of the hub)',
  ),
  out: text(
    '<folder>',
    "results: {tasks}/{shots}.json; beside it, in FOLDER.samples, each row's (with --mode default: harmlessness_eval)",
  ),
  limit: wholeNumber('<number>', 1, 'most rows of each task'),
  taskDir: text('<folder>', "more tasks: YAML files in the harness's words"),
  harness: byDefault(
    oneOf(
      '<version>',
      ['main', 'v0.4.0-seed'],
      "which harness is followed: today's, or v0.4.0 as the paper ran it",
    ),
    'main',
  ),
  applyChatTemplate: optional(
    'name',
    "put every request into the model's chat template; of several, into the one of this name (default: the default one)",
  ),
  systemInstruction: text('<text>', "a system's turn before each task's description"),
  fewshotAsMultiturn: made(
    oneOf(
      '<answer>',
      ['true', 'false'],
      'with a chat template: examples as turns of their own (default), or all in one',
    ),
    (answer: string) => answer === 'true',
  ),
  ...ASKED,
  model: text('<model>', `${ASKED.model.words}; or --models; with --mode of one model alone the vanilla one`),
};
/** Of --mode alone. */
const PAPER = {
  root: text('<folder>', 'with --mode: the folder of output_{template}_{mode} (default: here)'),
  registered: toggle('with --mode: the vanilla models of the registry that have no run here, too'),
};
const OWN = {
  flavour: named(
    'mode',
    oneOf(
      '<flavour>',
      FLAVOURS,
      "the paper's evaluation: each model that has a run, before and after, into its folders; what stands is skipped",
    ),
  ),
  shots: SHOTS,
  compare: text('<model>', 'a second model, after something was done to the first: paired counts and tests'),
  margin: MARGIN,
  ...MODELS,
  ...FLEET,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function evalCommand(): Command {
  return withOptions(new Command('eval'), { ...OPTIONS, ...PAPER, ...OWN })
    .description(
      "Scores tasks as EleutherAI's lm-evaluation-harness does: the same prompts, metrics and standard errors. The same command again goes on from where it was stopped.",
    )
    .action((_, called: Command) => {
      const [options, paper, own] = [given(called, OPTIONS), given(called, PAPER), given(called, OWN)];
      if (own.flavour !== undefined) return runPaper({ ...options, ...paper, flavour: own.flavour }, own);
      refuseAlone(paper, PAPER, '--mode adapter|sft_chat', 'leave it out, or give --mode');
      return runEval(options, own);
    });
}

/** The paper's folders. */
async function runPaper(
  options: Given<typeof OPTIONS> & Given<typeof PAPER> & { readonly flavour: Flavour },
  own: Given<typeof OWN>,
): Promise<void> {
  const { shots: listed, compare, models, dryRun, json } = own;
  for (const [name, value] of Object.entries({ compare, models }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} and --mode are two evaluations`, 'give one of them');
  refuseFleetAlone(own);
  const [{ evaluateRegistered }, { shotsNamed }] = await Promise.all([
    import('../../pipeline/evaluate-registered.ts'),
    import('../../evaluate/evaluate.ts'),
  ]);
  const asked = { ...options, shots: shotsNamed(listed) };
  if (dryRun)
    return showPlan(
      await withProgress((onEvent) => evaluateRegistered({ ...asked, onEvent, dryRun: true })),
      json,
    );
  const report = await withProgress((onEvent) => evaluateRegistered({ ...asked, onEvent }));
  if (json) return printJson(report);
  const rows = report.results.map(({ model, kind, shots, state, path }) => [
    shownText(model),
    kind,
    String(shots),
    state,
    shownText(path),
  ]);
  for (const line of table([['model', 'kind', 'shots', 'state', 'file'], ...rows])) print(line);
  for (const { model, why } of report.left_out)
    tell(paint.dim(`${shownText(model)} is left out: ${shownText(why)}`));
  tell(paint.dim(`whorl report harmlessness ${options.flavour} ${shownText(report.folder)} has the tables`));
}

async function runEval(options: Given<typeof OPTIONS>, own: Given<typeof OWN>): Promise<void> {
  if (own.models !== undefined) return runEvaluateFleet(options, { ...own, models: own.models });
  refuseFleetAlone(own);
  const { model, out } = options;
  if (model === undefined || out === undefined)
    throw new WhorlError(
      'usage',
      `${model === undefined ? '--model' : '--out'} is not given`,
      'give it, or --models with a list, or --mode adapter|sft_chat for the models of a folder of runs',
    );
  return runOne({ ...options, model, out }, own);
}

async function runOne(
  options: Given<typeof OPTIONS> & { readonly model: string; readonly out: string },
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
