// `whorl draw`: the public dice that a claim is committed to, checked offline and kept beside it.

import { Command } from 'commander';
import { DRY_RUN, type Given, given, JSON_LINE, text, withOptions } from '../options.ts';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';
import { TSA_ROOT } from '../run-options.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  beacon: text(
    '<file|round|url>',
    "the committed round of drand's quicknet: a file or an address that has it, or its number, which drand is asked for",
  ),
  tsaRoot: TSA_ROOT,
};
const OWN = { ...DRY_RUN, ...JSON_LINE };

export function drawCommand(): Command {
  return withOptions(new Command('draw'), { ...OPTIONS, ...OWN })
    .description(
      'Throws the dice that a claim is committed to. A round is checked by its signature, offline.',
    )
    .argument('<run>', 'the run folder')
    .action((run: string, _, called: Command) => runDraw(run, given(called, OPTIONS), given(called, OWN)));
}

const PROVED = {
  no: 'no time stamp is earlier than the round: whorl verify counts the dice as the owner’s own',
  'not anchored': 'a time stamp is earlier; who judges must trust its authority (--tsa-root)',
  anchored: 'a time stamp that you trust is earlier',
} as const;

async function runDraw(
  run: string,
  options: Given<typeof OPTIONS>,
  { json, dryRun }: Given<typeof OWN>,
): Promise<void> {
  const { drawRun } = await import('../../fingerprint/steps.ts');
  if (dryRun)
    return showPlan(await withProgress((onEvent) => drawRun({ run, ...options, onEvent, dryRun })), json);
  const report = await withProgress((onEvent) => drawRun({ run, ...options, onEvent }));
  if (json) return printJson(report);
  if (report.source === 'owner-seed')
    return print("the owner's own dice fell when the claim was committed: there is nothing to draw");
  print(`${paint.bold(paint.green('drawn'))} from round ${report.round}: ${report.randomness}`);
  print(paint.dim(`  ${PROVED[report.proved]}`));
  print(paint.dim(`  then:  whorl fingerprint --out ${run}`));
}
