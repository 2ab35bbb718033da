// `whorl rival`: two claims, two models: whose claim was first, or that nothing says so. Exit code 0 where one was, 5 where not.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import type { RivalClaim, RivalReport, RivalSideReport } from '../../verify/rival.ts';
import { COMPUTE } from '../model-flags.ts';
import { type Given, given, JSON_LINE, required, text, withOptions } from '../options.ts';
import { Outcome, paint, powerText, print, printJson, shownText, table, wrapped } from '../output.ts';
import { UNLOCK, type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { TSA_ROOT } from '../run-options.ts';
import { inTable, VERDICT_WORDS } from '../verdict-words.ts';

const sideOptions = (name: string) => ({
  secret: required(text('<file>', `secret.whorl of claimant ${name}`)),
  model: required(
    text(
      '<model>',
      `what claimant ${name} published: a folder, a GGUF file, a hub id, or with --model-name-${name.toLowerCase()} the address of a server`,
    ),
  ),
  claim: text('<file>', `the claim.json of ${name} (default: the one beside the secret)`),
  vanilla: text(
    '<model>',
    `of a claim with a stamp: the vanilla model of ${name} as committed (default: weights are read alone, which finds less)`,
  ),
  modelName: text('<name>', `model ${name} answers behind a server, by this name`),
});
const [ofA, ofB] = [sideOptions('A'), sideOptions('B')];

const OPTIONS = { tsaRoot: TSA_ROOT, ...COMPUTE };
const OWN = {
  secretA: ofA.secret,
  modelA: ofA.model,
  claimA: ofA.claim,
  vanillaA: ofA.vanilla,
  modelNameA: ofA.modelName,
  secretB: ofB.secret,
  modelB: ofB.model,
  claimB: ofB.claim,
  vanillaB: ofB.vanilla,
  modelNameB: ofB.modelName,
  ...UNLOCK,
  ...JSON_LINE,
};

export function rivalCommand(): Command {
  return withOptions(new Command('rival'), { ...OWN, ...OPTIONS })
    .description(
      'Two claimants, each with a claim and the model he published: asks both claims of both models and compares their proved times. Exit code 0: one was first; 5: undecided.',
    )
    .action((_, called: Command) => runRival(given(called, OPTIONS), given(called, OWN)));
}

async function runRival(options: Given<typeof OPTIONS>, own: Given<typeof OWN>): Promise<void> {
  const a = await claimOf(own, own.secretA, own.modelA, own.claimA, own.vanillaA, own.modelNameA);
  const b = await claimOf(own, own.secretB, own.modelB, own.claimB, own.vanillaB, own.modelNameB);
  const { rival } = await import('../../verify/rival.ts');
  const report = await withProgress((onEvent) => rival({ ...options, a, b, onEvent }));
  if (own.json) printJson(report);
  else show(report);
  if (report.first === 'undecided') throw new Outcome(VERDICT_WORDS.undecided.exitCode, report.reason);
}

async function claimOf(
  flags: UnlockFlags,
  secret: string,
  model: string,
  claim: string | undefined,
  vanilla: string | undefined,
  model_name: string | undefined,
): Promise<RivalClaim> {
  if (model_name === '') throw new WhorlError('usage', 'a model name is empty', 'name the model');
  const unlock = await unlockFor(secret, flags);
  return {
    secret,
    model,
    ...(claim !== undefined && { claim }),
    ...(vanilla !== undefined && { vanilla }),
    ...(model_name !== undefined && { endpoint: { model_name } }),
    ...(unlock && { unlock }),
  };
}

function show(report: RivalReport): void {
  const { first, reason } = report;
  const word =
    first === 'undecided'
      ? paint.yellow(paint.bold('UNDECIDED'))
      : paint.green(paint.bold(`CLAIM ${first.toUpperCase()} WAS FIRST`));
  print(word);
  for (const line of wrapped(reason)) print(paint.dim(line));
  print();
  for (const line of table([
    ['', 'in model A', 'in model B', 'proved time'],
    ['claim A', ...cells(report.a)],
    ['claim B', ...cells(report.b)],
  ]))
    print(line);
  print();
  for (const [name, side] of [['A', report.a] as const, ['B', report.b] as const])
    print(
      `  ${name}  ${side.root.slice(0, 16)}… said to be of ${side.created}  ${shownText(side.model, 100)}`,
    );
  print(`\n${paint.bold('What this does not say')}`);
  for (const line of report.does_not_say) print(`  · ${line}`);
}

const cells = ({ marks, proved }: RivalSideReport): string[] => [
  ...[marks.a, marks.b].map(({ verdict, log10_p }) => {
    const p = log10_p === null ? '' : `, p ≤ ${powerText(log10_p)}`;
    return verdict === null ? 'cannot be asked' : `${inTable(verdict)}${p}`;
  }),
  proved ?? 'none',
];
