// `whorl pipeline`: the paper's command line over its own folders; modes and key=value in any order among the flags.

import { Command, Option } from 'commander';
import type { PipelineReport } from '../../pipeline/pipeline.ts';
import { FLAVOURS, type Flavour } from '../../runs/paper-folder.ts';
import { parseSettings, wholeNumber } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import { durationText, paint, powerText, print, printJson, table } from '../output.ts';
import { lockFrom, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { readSettingsFile } from '../settings-file.ts';
import { inTable } from '../verdict-words.ts';

interface PipelineFlags extends ComputeFlags {
  config: Flavour;
  baseModel: string;
  taskName?: string;
  template: string;
  root: string;
  settings?: string;
  source?: string;
  samples?: number;
  seed?: string;
  keys?: string;
  decryption?: string;
  passphraseFile?: string;
  overwrite?: boolean;
  json?: boolean;
}

export function pipelineCommand(): Command {
  return withComputeFlags(new Command('pipeline'))
    .description(
      "The paper's pipeline: fingerprint a model, fine-tune it as a user (alpaca), verify ownership; in its folders and files. What is done already is skipped.",
    )
    .argument(
      '<modes...>',
      "fingerprint, alpaca, ownership_verify, several at once; settings as key=value: the paper's (epoch, lr, dim, total_bsz, data_name), the method's, and alpaca.… for the user's",
    )
    .addOption(
      new Option('--config <flavour>', 'which of the two pipelines').choices(FLAVOURS).default('adapter'),
    )
    .requiredOption('--base-model <model>', 'a Hugging Face folder, a GGUF file or a hub id')
    .option('--task-name <set>', "the user's data: an Alpaca JSON file, or NAME for dataset/NAME.json")
    .option('-t, --template <name>', 'how keys are asked; names the output folder', 'barebone')
    .option('--root <folder>', 'where output_…/ goes', '.')
    .option('--settings <file>', 'YAML with settings, under those of the command line')
    .option('--source <file>', 'ordinary conversations or Alpaca rows (default: the bundled reference text)')
    .option('--samples <number>', 'texts sampled from BOS (sft_chat; default: 2000)', wholeNumber(1))
    .option('--keys <kind>', "where keys come from; paper: the paper's phrases")
    .option('--decryption <text>', "what drawn keys are answered with (default: the paper's)")
    .option(
      '--seed <text>',
      'repeats a run bit for bit on the same machine; whoever knows or guesses it knows the keys',
    )
    .option('--passphrase-file <file>', 'encrypt the secret with the passphrase in this file, and open it')
    .option(
      '--overwrite',
      'start anew where a run stands: what has no claim yet is removed, any other run moved aside',
    )
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((words: string[], flags: PipelineFlags) => runPipeline(words, flags));
}

async function runPipeline(words: readonly string[], flags: PipelineFlags): Promise<void> {
  const { modeNamed, pipeline } = await import('../../pipeline/pipeline.ts');
  const modes = words.filter((word) => !word.includes('=')).map(modeNamed);
  const file = flags.settings === undefined ? {} : readSettingsFile(flags.settings);
  const settings = { ...file, ...parseSettings(words.filter((word) => word.includes('='))) };
  const { config, baseModel, taskName, template, root, source, samples, seed, keys, decryption } = flags;
  const { passphraseFile } = flags;
  const lock = passphraseFile === undefined ? undefined : await lockFrom({ passphraseFile });
  const unlock = passphraseFile === undefined ? undefined : await unlockFor('', { passphraseFile });
  const report = await withProgress((onEvent) =>
    pipeline({
      flavour: config,
      modes,
      base_model: baseModel,
      template,
      root,
      settings,
      onEvent,
      ...computeOptions(flags),
      ...(taskName !== undefined && { task_name: taskName }),
      ...(source !== undefined && { source }),
      ...(samples !== undefined && { samples }),
      ...(seed !== undefined && { seed }),
      ...(keys !== undefined && { keys }),
      ...(decryption !== undefined && { decryption }),
      ...(flags.overwrite && { overwrite: true }),
      ...(lock && { lock }),
      ...(unlock && { unlock }),
    }),
  );
  if (flags.json) printJson(report);
  else show(report, flags);
}

function show(report: PipelineReport, { root, decryption }: PipelineFlags): void {
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
