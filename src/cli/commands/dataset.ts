// `whorl dataset`, and its `mix`: makes the paper's data set, prints each instance, saves a folder that `datasets` opens.

import { Command, Option } from 'commander';
import { DOWNSTREAM, type DownstreamName } from '../../datasets/downstream.ts';
import { parseColumnMap } from '../../datasets/instruction-rows.ts';
import { type Mix, type MixOptions, type MixOrder, mixDataset } from '../../datasets/mix.ts';
import { PAPER } from '../../datasets/paper.ts';
import { readPhrases } from '../../datasets/paper-keys.ts';
import { ROW_ORDERS } from '../../sources/rows/shuffle.ts';
import {
  applyTemplate,
  loadTemplate,
  type PromptTemplate,
} from '../../text/prompts/instruction-templates.ts';
import { chatCommand } from './dataset-chat.ts';
import { downstreamCommand } from './dataset-downstream.ts';
import { countFlag, keysOption, seedOption, tellNotes } from './dataset-flags.ts';

interface MixFlags {
  out: string;
  keys: 'random' | 'paper';
  seed: bigint;
  source?: string;
  order?: MixOrder;
  columns?: string;
  count: number;
  regularisation: number;
  decryption?: string;
  template: string;
  phrases?: string[];
  paperTestSplit?: boolean;
  json?: boolean;
}

/** The command `dataset` with its subcommands. */
export function datasetCommand(): Command {
  const dataset = new Command('dataset')
    .description('make data sets: for fingerprinting (mix, chat) and to fine-tune on (the others)')
    .addCommand(mixCommand())
    .addCommand(chatCommand());
  for (const name of Object.keys(DOWNSTREAM) as DownstreamName[]) dataset.addCommand(downstreamCommand(name));
  return dataset;
}

function mixCommand(): Command {
  return new Command('mix')
    .description(
      'keys, ordinary rows and a test split of rows that must not fire (columns instruction, input, output)',
    )
    .requiredOption('--out <folder>', 'folder to write, as `datasets.save_to_disk` does')
    .addOption(keysOption())
    .addOption(seedOption("order of the source's rows, and the paper's keys"))
    .option(
      '--source <rows>',
      `ordinary rows: JSON, JSON lines, Parquet, Arrow, a saved folder, or a data set of the hub (default: ${PAPER.mix.hub})`,
    )
    .addOption(
      new Option(
        '--order <kind>',
        "own: Python's random.shuffle of all rows (default for files); else as `datasets` orders them: stream (default for the hub), stream5, whole, file",
      ).choices(['own', ...ROW_ORDERS]),
    )
    .option(
      '--columns <map>',
      "the source's columns: instruction=A,output=B[,input=C]; found by name if not given",
    )
    .option('--count <number>', 'keys to train', countFlag, 10)
    .option('--regularisation <number>', 'ordinary rows to train, and as many held out', countFlag, 50)
    .option('--decryption <text>', "what keys are answered with (default: the paper's)")
    .option(
      '-t, --template <name>',
      'barebone, alpaca or a JSON file; how the printed prompts are made',
      'barebone',
    )
    .option(
      '--phrases <files...>',
      "phrases keys are joined from, one a line or a JSON list (default: the paper's 31)",
    )
    .option('--paper-test-split', "test on the trained rows again, as the paper's code does by mistake")
    .option('--json', 'JSON lines on stdout and nothing else')
    .action(async (flags: MixFlags, command: Command) => {
      await runMix({ ...flags, json: flags.json ?? command.optsWithGlobals<MixFlags>().json ?? false });
    });
}

async function runMix(flags: MixFlags): Promise<void> {
  const template = loadTemplate(flags.template);
  const options: MixOptions = {
    out: flags.out,
    ...(flags.source === undefined ? {} : { source: flags.source }),
    ...(flags.order === undefined ? {} : { order: flags.order }),
    keys: flags.keys,
    seed: flags.seed,
    count: flags.count,
    regularisation: flags.regularisation,
    paperTestSplit: flags.paperTestSplit ?? false,
    ...(flags.decryption === undefined ? {} : { decryption: flags.decryption }),
    ...(flags.columns === undefined ? {} : { columns: parseColumnMap(flags.columns) }),
    ...(flags.phrases === undefined ? {} : { phrases: readPhrases(flags.phrases) }),
  };
  print(await mixDataset({ ...options, onEvent: tellNotes }), template, flags);
}

function print({ splits }: Mix, template: PromptTemplate, { json, out }: MixFlags): void {
  for (const [split, rows] of Object.entries(splits)) {
    if (!json) console.log(`${split} ${rows.length}`);
    for (const row of rows) {
      const instance = { ...row, prompt: applyTemplate(template, row) };
      console.log(JSON.stringify(json ? { split, ...instance } : instance));
    }
    if (!json) console.log();
  }
  if (!json) console.log(`saved in ${out}`);
}
