// `whorl eval --models`: what was given becomes one call; all models' results for people.

import { WhorlError } from '../base/error.ts';
import { shotsNamed } from '../evaluate/evaluate.ts';
import { type EvaluateFleetOptions, evaluateFleet } from '../fleet/eval-fleet.ts';
import { type FLEET, launchFrom, showWaitingFleet } from './fleet-flags.ts';
import type { DRY_RUN, Given, JSON_LINE } from './options.ts';
import { Outcome, paint, print, printJson, shownText, table, tell } from './output.ts';
import { withProgress } from './progress.ts';
import { showPlan } from './show-plan.ts';

type Own = Given<typeof FLEET & typeof DRY_RUN & typeof JSON_LINE> & {
  readonly models: string;
  readonly shots: string;
  readonly compare?: string;
};

export async function runEvaluateFleet(
  {
    model,
    ...options
  }: Omit<EvaluateFleetOptions, 'models' | 'shots' | 'out' | 'data'> & {
    readonly model?: string;
    readonly out?: string;
    readonly data?: string;
  },
  own: Own,
): Promise<void> {
  for (const [name, value] of Object.entries({ model, compare: own.compare }))
    if (value !== undefined) throw new WhorlError('usage', `--${name} beside --models`, 'give one of them');
  const { data } = options;
  if (data === undefined)
    throw new WhorlError(
      'usage',
      'no folder of rows is named',
      'give --data: rows travel with the tasks of a list',
    );
  const asked = {
    ...options,
    data,
    ...launchFrom(options.out, own),
    ...{ models: own.models, shots: shotsNamed(own.shots) },
  };
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) => evaluateFleet({ ...asked, onEvent, dryRun: true })),
      own.json,
    );
  const report = await withProgress((onEvent) => evaluateFleet({ ...asked, onEvent }));
  if (report.kind === 'waiting') {
    if (own.json) printJson(report);
    else showWaitingFleet(report);
    return;
  }
  const { models, failed } = report.results;
  if (own.json) printJson(report.results);
  else {
    const rows = models.flatMap(({ name, results }) =>
      Object.entries(results).flatMap(([shots, { results: figures }]) =>
        Object.entries(figures as Readonly<Record<string, Readonly<Record<string, unknown>>>>).flatMap(
          ([task, metrics]) =>
            Object.entries(metrics).flatMap(([metric, value]) =>
              metric.includes(',') && !metric.includes('_stderr') && typeof value === 'number'
                ? [[shownText(name, 60), shots, task, metric, value.toFixed(4)]]
                : [],
            ),
        ),
      ),
    );
    const [head, ...body] = table([['model', 'shots', 'task', 'metric', 'value'], ...rows]);
    print(paint.dim(head!));
    for (const line of body) print(line);
    for (const { name, message } of failed)
      print(`${paint.red('no results')}  ${shownText(name, 60)}: ${message}`);
  }
  tell(paint.dim(`in ${report.file}`));
  if (failed.length > 0) throw new Outcome(1, `${failed.length} models have no results`);
}
