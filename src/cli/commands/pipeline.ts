// `whorl pipeline`: the paper's command line, its modes, folders and files.

import { Command, Option } from 'commander';
import { WhorlError } from '../../base/error.ts';
import type { Mode } from '../../pipeline/pipeline.ts';
import { FLAVOURS, type Flavour } from '../../runs/paper-folder.ts';
import { parseSettings, wholeNumber } from '../arguments.ts';
import { durationText, paint, print, printJson, shownText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { readSettingsFile } from '../settings-file.ts';

interface PipelineFlags {
  config: Flavour;
  baseModel: string;
  taskName?: string;
  template: string;
  source?: string;
  root?: string;
  seed?: string;
  keys?: string;
  decryption?: string;
  settings?: string;
  samples?: number;
  json?: boolean;
}

export function pipelineCommand(): Command {
  return new Command('pipeline')
    .description(
      "The paper's steps into its folders and files: fingerprint a model, fine-tune it as a user, verify ownership. What is there already is not made again.",
    )
    .addOption(new Option('--config <flavour>', 'IF_adapter or IF_SFT').choices(FLAVOURS).default('adapter'))
    .requiredOption('--base-model <model>', 'a Hugging Face folder, a GGUF file or a hub id')
    .option('--task-name <name>', "the user's data set: a file, or a name that stands here as {name}.json")
    .option('-t, --template <name>', 'barebone, alpaca or a JSON file', 'barebone')
    .option('--source <file>', "ordinary rows or conversations (default: the reference set's)")
    .option('--root <folder>', 'where output_…/ lies (default: here)')
    .option('--seed <text>', 'repeats a run; whoever knows it knows the keys')
    .option('--keys <kind>', "rare (default) or paper: the paper's phrases")
    .option('--decryption <text>', 'what drawn keys are answered with')
    .option('--settings <file>', 'YAML with settings, under those of the command line')
    .option('--samples <number>', 'texts sampled from BOS (sft_chat; default 2000)', wholeNumber(1))
    .option('--json', 'one JSON line on stdout and nothing else')
    .argument(
      '<words...>',
      'fingerprint, alpaca, ownership_verify, then key=value (alpaca.key=value for the user)',
    )
    .action(runPipeline);
}

async function runPipeline(words: readonly string[], flags: PipelineFlags): Promise<void> {
  const { MODES, pipeline } = await import('../../pipeline/pipeline.ts');
  const isMode = (word: string): word is Mode => (MODES as readonly string[]).includes(word);
  const named = words.filter((word) => !word.includes('='));
  const wrong = named.find((word) => !isMode(word));
  if (wrong !== undefined || named.length === 0)
    throw new WhorlError(
      'usage',
      wrong === undefined ? 'no mode is given' : `${shownText(wrong)} is no mode`,
      `give ${MODES.join(', ')}, one or several`,
    );
  const { config, baseModel, json, settings, ...rest } = flags;
  const file = settings === undefined ? {} : readSettingsFile(settings);
  const report = await withProgress((onEvent) =>
    pipeline({
      ...rest,
      modes: MODES.filter((mode) => named.includes(mode)),
      flavour: config,
      base_model: baseModel,
      ...(flags.taskName !== undefined && { task_name: flags.taskName }),
      settings: { ...file, ...parseSettings(words.filter((word) => word.includes('='))) },
      onEvent,
    }),
  );
  if (json) return printJson(report);
  print(`${paint.bold(paint.green('done'))} in ${durationText(report.seconds)}: ${report.run}`);
  print(`  ${paint.bold(report.published)} ${paint.dim('may be uploaded; all the rest is private')}`);
  for (const file of report.files) print(paint.dim(`  ${file}`));
  if (report.verdict) print(`  ${report.verdict}`);
  print(`\nTables: whorl report fsr ${config} ${report.run}`);
}
