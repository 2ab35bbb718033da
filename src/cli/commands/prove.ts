// `whorl prove`: a time stamp of a claim, from a file or a server; or the request for one.

import { Command } from 'commander';
import { DRY_RUN, type Given, given, JSON_LINE, text, withOptions } from '../options.ts';
import { paint, print, printJson, shownText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { TSA_ROOT } from '../run-options.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  response: text('<file>', 'an authority’s response (RFC 3161, DER)'),
  tsa: text('<url>', 'ask this authority'),
  request: text('<file>', 'write the request, for who has no network here'),
  tsaRoot: TSA_ROOT,
};
const OWN = { ...DRY_RUN, ...JSON_LINE };

export function proveCommand(): Command {
  return withOptions(new Command('prove'), { ...OPTIONS, ...OWN })
    .description(
      'Attaches proof of when a claim was there: a time stamp of its root. Give one of --response, --tsa, --request.',
    )
    .argument('<run>', 'the run folder, or any folder with a claim.json')
    .action((run: string, _, called: Command) => runProve(run, given(called, OPTIONS), given(called, OWN)));
}

async function runProve(
  run: string,
  options: Given<typeof OPTIONS>,
  { json, dryRun }: Given<typeof OWN>,
): Promise<void> {
  const { proveRun } = await import('../../fingerprint/steps.ts');
  if (dryRun)
    return showPlan(await withProgress((onEvent) => proveRun({ run, ...options, onEvent, dryRun })), json);
  const { root, file, stamp } = await withProgress((onEvent) => proveRun({ run, ...options, onEvent }));
  if (json) return printJson({ root, file, stamp });
  if (stamp === null) {
    print(`${paint.bold(file)}  ${paint.dim(`asks for a time stamp of ${root}`)}`);
    print(paint.dim(`  then:  whorl prove ${run} --response FILE`));
    return;
  }
  print(`${paint.bold(paint.green('time-stamped'))} ${stamp.time} by ${shownText(stamp.authority)}`);
  print(`  ${file}`);
  print(
    paint.dim(
      stamp.anchor === null
        ? '  not anchored: give the authority’s certificate with --tsa-root, or it is no more than a word'
        : `  leads to certificate ${stamp.anchor}`,
    ),
  );
}
