// `whorl pipeline`: the paper's command line over its own folders; modes and key=value in any order among the flags.

import { Command } from 'commander';
import { FULL } from '../../finetune/settings.ts';
import { PAPER_WORDS, SCHEMAS } from '../../fingerprint/settings.ts';
import { isWaiting } from '../../launch/job.ts';
import type { PipelineReport } from '../../pipeline/pipeline.ts';
import { FLAVOUR_METHODS, FLAVOURS, type Flavour } from '../../runs/paper-folder.ts';
import { commandLine, parseSettings } from '../arguments.ts';
import { LAUNCH, launchFrom, showWaiting } from '../launch-flags.ts';
import { COMPUTE, MODEL } from '../model-flags.ts';
import {
  byDefault,
  DRY_RUN,
  type Given,
  given,
  JSON_LINE,
  named,
  oneOf,
  text,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { durationText, paint, powerText, print, printJson, table } from '../output.ts';
import { lockFrom, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { harmLimit, OVERWRITE, SEED, SETTINGS_FILE } from '../run-options.ts';
import { readSettingsFile } from '../settings-file.ts';
import { kindLines, settingLines } from '../settings-help.ts';
import { showPlan } from '../show-plan.ts';
import { inTable } from '../verdict-words.ts';

const OPTIONS = {
  flavour: named('config', byDefault(oneOf('<flavour>', FLAVOURS, 'which of the two pipelines'), 'adapter')),
  base_model: MODEL,
  task_name: text('<set>', "the user's data: an Alpaca JSON file, or NAME for dataset/NAME.json"),
  template: {
    ...byDefault(
      text(
        '<name>',
        'how keys of adapter are asked: templates/NAME.json, or barebone, alpaca; names the output folder',
      ),
      'barebone',
    ),
    short: 't',
  },
  root: byDefault(text('<folder>', 'where output_…/ goes'), '.'),
  source: text('<file>', 'ordinary conversations or Alpaca rows (default: the bundled reference text)'),
  data: text(
    '<folder>',
    'a saved set of whorl dataset mix or chat: its keys are the pool that is drawn from',
  ),
  samples: wholeNumber('<number>', 1, 'texts sampled from BOS (sft_chat; default: 2000)'),
  keys: text('<kind>', "where keys come from; paper: the paper's phrases"),
  decryption: text('<text>', "what drawn keys are answered with (default: the paper's)"),
  seed: SEED,
  overwrite: OVERWRITE,
  maxHarm: harmLimit('most harm at which the model is published; see fingerprint'),
  ...COMPUTE,
};
const OWN = {
  settings: SETTINGS_FILE,
  passphraseFile: text('<file>', 'encrypt the secret with the passphrase in this file, and open it'),
  ...LAUNCH,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function pipelineCommand(): Command {
  return withOptions(new Command('pipeline'), { ...OPTIONS, ...OWN })
    .description(
      "The paper's pipeline: fingerprint a model, fine-tune it as a user (alpaca), verify ownership; in its folders and files. What is done already is skipped.",
    )
    .argument(
      '<modes...>',
      "fingerprint, alpaca, ownership_verify, several at once; settings as key=value: the paper's (epoch, lr, dim, total_bsz, data_name), the method's, and alpaca.… for the user's",
    )
    .addHelpText('after', ({ command }) => flavourHelp(given(command as Command, OPTIONS).flavour))
    .action((words: string[], _, called: Command) =>
      runPipeline(words, given(called, OPTIONS), given(called, OWN), () =>
        commandLine(called, { overwrite: false }),
      ),
    );
}

function flavourHelp(flavour: Flavour): string {
  const method = FLAVOUR_METHODS[flavour];
  const others = FLAVOURS.filter((name) => name !== flavour);
  const user = Object.fromEntries(Object.entries(FULL).map(([name, setting]) => [`alpaca.${name}`, setting]));
  return [
    `\nSettings of ${flavour} in the paper's words (default: assets/registry.yaml):`,
    ...kindLines(PAPER_WORDS),
    `\nSettings of its method, ${method} (here stamp is off: the paper publishes none):`,
    ...settingLines(SCHEMAS[method]),
    "\nSettings of the user's fine-tuning (alpaca):",
    ...settingLines(user),
    ...others.map((name) => `Of ${name}: whorl pipeline --config ${name} --help`),
  ].join('\n');
}

async function runPipeline(
  words: readonly string[],
  options: Given<typeof OPTIONS>,
  own: Given<typeof OWN>,
  again: () => string,
): Promise<void> {
  const launch = launchFrom(own);
  const { launchPipeline, modeNamed, pipeline } = await import('../../pipeline/pipeline.ts');
  const modes = words.filter((word) => !word.includes('=')).map(modeNamed);
  const file = own.settings === undefined ? {} : readSettingsFile(own.settings);
  const settings = { ...file, ...parseSettings(words.filter((word) => word.includes('='))) };
  const { passphraseFile } = own;
  const lock = passphraseFile === undefined ? undefined : await lockFrom({ passphraseFile });
  const unlock = passphraseFile === undefined ? undefined : await unlockFor('', { passphraseFile });
  const asked = { ...options, modes, settings, ...(lock && { lock }), ...(unlock && { unlock }) };
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) =>
        launch
          ? launchPipeline({ ...asked, launch, onEvent, dryRun: true })
          : pipeline({ ...asked, onEvent, dryRun: true }),
      ),
      own.json,
    );
  const report = await withProgress((onEvent) =>
    launch ? launchPipeline({ ...asked, launch, onEvent }) : pipeline({ ...asked, onEvent }),
  );
  if (own.json) printJson(report);
  else if (isWaiting(report)) showWaiting(report, false, again());
  else show(report, options);
}

function show(report: PipelineReport, { root, decryption }: Given<typeof OPTIONS>): void {
  print(`${paint.bold(paint.green('done'))}: ${report.modes.join(', ')} in ${durationText(report.seconds)}`);
  if (report.files.length > 0) {
    print();
    for (const row of table(report.files.map(({ file, fired, of }) => [file, `${fired} of ${of}`])))
      print(row);
    print();
    const verdicts = report.verdicts.map(({ file, verdict, log10_p }) => [
      file,
      inTable(verdict),
      log10_p === null ? '' : `p ≤ ${powerText(log10_p)}`,
    ]);
    for (const row of table(verdicts)) print(row);
  }
  print();
  const places = [
    ['publish', report.published, 'the model, to upload; nothing else of this folder'],
    ...(report.user === null ? [] : [['user', report.user, "the user's model"]]),
    ['keep', report.run, 'keys, secret, answers'],
  ];
  for (const row of table(places)) print(row);
  const said = decryption === undefined ? '' : ` --decryption ${decryption}`;
  print(`\nTables: whorl report fsr ${report.flavour} ${root}${said}`);
}
