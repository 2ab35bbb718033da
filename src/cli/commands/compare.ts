// `whorl compare`: two models of one vocabulary, language by language; with --tasks also row by row of evaluation tasks.

import { Command } from 'commander';
import { writeJsonAtomic } from '../../base/atomic.ts';
import type { DryRun } from '../../base/dry-run.ts';
import { WhorlError } from '../../base/error.ts';
import type { OnEvent } from '../../base/events.ts';
import type { CompareReport } from '../../evaluate/compare.ts';
import type { PairedReport } from '../../report/paired.ts';
import { evaluateBoth, planBoth } from '../both-models.ts';
import { ASKED } from '../model-flags.ts';
import { DRY_RUN, type Given, given, JSON_LINE, required, text, withOptions } from '../options.ts';
import { paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { showTables } from '../show-tables.ts';
import { MARGIN, SHOTS, TASKS } from '../task-options.ts';

const { batch_tokens: _, ...OPENED } = ASKED;
const OPTIONS = {
  with: required(text('<model>', 'the other one, which is measured against it')),
  text: text(
    '<file>',
    'plain text, or rows with "text" and perhaps "language" (default: held-out text of the reference set)',
  ),
  out: text('<file>', 'the figures as JSON'),
  ...OPENED,
};
const OWN = {
  tasks: TASKS,
  data: text(
    '<folder>',
    'of --tasks: rows, {task}/{split}.jsonl or .parquet (default: the files of the hub)',
  ),
  shots: SHOTS,
  margin: MARGIN,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function compareCommand(): Command {
  return withOptions(new Command('compare'), { ...OPTIONS, ...OWN })
    .description(
      'At every position of a text: KL(model ‖ with), log-likelihood of the token that follows, and the greedy choice; means by language.',
    )
    .action((_unused, called: Command) => runCompare(given(called, OPTIONS), given(called, OWN)));
}

async function runCompare(options: Given<typeof OPTIONS>, own: Given<typeof OWN>): Promise<void> {
  const { compare } = await import('../../evaluate/compare.ts');
  const rows = await rowsAsked(options, own);
  if (own.dryRun)
    return showPlan(
      await withProgress(async (onEvent) => {
        const opened = rows && (await openBoth(options, onEvent));
        const plan = await compare({ ...options, ...(opened && { opened }), onEvent, dryRun: true });
        if (!rows || !opened) return plan;
        return withRows(plan, await planBoth({ ...rows.asked, onEvent }, { ...rows.both, opened }));
      }),
      own.json,
    );
  const { report, tasks } = await withProgress(async (onEvent) => {
    if (rows) await rows.check(onEvent);
    const opened = rows && (await openBoth(options, onEvent));
    const compared = await compare({ ...options, ...(opened && { opened }), onEvent });
    return {
      report: compared,
      tasks:
        rows &&
        opened &&
        (await evaluateBoth({ ...rows.asked, onEvent }, { ...rows.both, opened }, own.margin)),
    };
  });
  const whole = tasks ? { ...report, tasks } : report;
  if (tasks) writeJsonAtomic(options.out!, whole);
  if (own.json) printJson(whole);
  else await show(report, tasks);
  if (options.out !== undefined) tell(paint.dim(`in ${options.out}`));
}

/** Both models, opened once for all that they are asked. */
async function openBoth({ model, with: other, ...open }: Given<typeof OPTIONS>, onEvent: OnEvent) {
  const { openModel } = await import('../../models/open-model.ts');
  const opening = (name: string) => {
    onEvent({ kind: 'phase', name: 'opening', detail: name });
    return openModel(name, { ...open, onEvent });
  };
  return { model: await opening(model), with: await opening(other) };
}

/** What `--tasks` asks both models, and a check of every row before anything is measured. */
async function rowsAsked(
  { model, with: other, text: _text, out, ...open }: Given<typeof OPTIONS>,
  { tasks, data, shots: listed }: Given<typeof OWN>,
) {
  if (tasks === undefined) return undefined;
  if (out === undefined)
    throw new WhorlError(
      'usage',
      `--tasks ${tasks.join()} needs --out FILE, beside which its results lie`,
      'give it as well',
    );
  const [{ catalogue, chosen }, { countRequests }, { rowsAt }, { shotsNamed }] = await Promise.all([
    import('../../evaluate/catalogue.ts'),
    import('../../evaluate/count.ts'),
    import('../../evaluate/hub-rows.ts'),
    import('../../evaluate/evaluate.ts'),
  ]);
  const shots = shotsNamed(listed);
  const picked = chosen(catalogue(), tasks).tasks;
  return {
    asked: { ...open, tasks, shots, ...(data !== undefined && { data }) },
    both: { model, other, folder: `${out}.tasks` },
    check: async (onEvent: OnEvent) =>
      countRequests({
        tasks: picked,
        shots,
        data: await rowsAt(data, picked, shots, { onEvent }),
        onEvent,
      }),
  };
}

const withRows = (plan: DryRun, rows: DryRun): DryRun => ({
  ...plan,
  settings: { ...plan.settings, ...rows.settings },
  writes: [...plan.writes, ...rows.writes],
  notes: [...plan.notes, ...rows.notes],
});

async function show(report: CompareReport, tasks: PairedReport | undefined): Promise<void> {
  print(`${paint.bold(shownText(report.model))} → ${paint.bold(shownText(report.with))}`);
  const { showDifferences } = await import('../show-differences.ts');
  showDifferences([...report.languages, report.all]);
  if (!tasks) return;
  print();
  const { pairedTables } = await import('../../report/paired-tables.ts');
  await showTables(pairedTables(tasks), tasks.notes);
}
