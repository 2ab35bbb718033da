// `whorl demo`: the whole road on the embedded model, with the two controls that make the answer worth something.

import { join } from 'node:path';
import { Command } from 'commander';
import type { DemoReport } from '../../demo/demo.ts';
import { DEVICE } from '../model-flags.ts';
import { byDefault, DRY_RUN, given, JSON_LINE, text, withOptions } from '../options.ts';
import { paint, print, printJson, table } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { inTable } from '../verdict-words.ts';

const OPTIONS = {
  out: byDefault(text('<folder>', 'where everything is written'), 'whorl-demo'),
  ...DEVICE,
};

const OWN = { ...DRY_RUN, ...JSON_LINE };

export function demoCommand(): Command {
  return withOptions(new Command('demo'), { ...OPTIONS, ...OWN })
    .description(
      'Fingerprints an embedded model, publishes it, fine-tunes it as a thief would, and verifies, with controls.',
    )
    .action(async (_, called: Command) => {
      const { runDemo } = await import('../../demo/demo.ts');
      const { dryRun, json } = given(called, OWN);
      const options = given(called, OPTIONS);
      if (dryRun)
        return showPlan(await withProgress((onEvent) => runDemo({ ...options, onEvent, dryRun })), json);
      const report = await withProgress((onEvent) => runDemo({ ...options, onEvent }));
      if (json) printJson(report);
      else show(report);
    });
}

function show({ folder, fingerprint, verdicts, perplexity, seconds }: DemoReport): void {
  print(`\n${paint.bold('Who answers the secret keys?')}`);
  const rows = verdicts.map(({ who, report }) => {
    const hits = Math.round(report.fsr * Object.values(report.cells)[0]!.of);
    return [who, inTable(report.verdict), `${hits} keys`, `p = 10^${report.log10_p!.toFixed(1)}`];
  });
  for (const row of table(rows)) print(row);
  print(`\n${paint.bold('What did the fingerprint cost?')}`);
  const cost = perplexity.map(({ who, value }) => [who, `perplexity ${value.toFixed(3)} on held-out prose`]);
  for (const row of table(cost)) print(row);
  for (const { name, mean } of fingerprint.kl ?? [])
    if (name === 'English')
      print(`  KL to vanilla on held-out English: ${mean.toExponential(1)} nats a token`);
  print(`\n${paint.bold('Where everything lies')}`);
  const files = [
    [fingerprint.published, 'the folder that may be uploaded'],
    [fingerprint.claim, 'the public commitment, written before the draw'],
    [fingerprint.secret, 'the secret: keys, draw, digests (mode 0600)'],
    [join(folder, 'stolen'), "the thief's model"],
    [join(folder, 'innocent'), "a fine-tune of the vanilla model: nobody's theft"],
  ];
  for (const row of table(files)) print(row);
  print(`\n${seconds.toFixed(0)} s. On your own model: whorl fingerprint --model DIR --out RUN`);
}
