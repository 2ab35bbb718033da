// `whorl dataset`, and its `mix`: makes the paper's data set, prints each instance, saves a folder that `datasets` opens.

import { Command } from 'commander';
import { DOWNSTREAM, type DownstreamName } from '../../datasets/downstream.ts';
import { type Mix, mixDataset } from '../../datasets/mix.ts';
import { PAPER } from '../../datasets/paper.ts';
import { ROW_ORDERS } from '../../sources/rows/shuffle.ts';
import {
  applyTemplate,
  loadTemplate,
  type PromptTemplate,
} from '../../text/prompts/instruction-templates.ts';
import {
  byDefault,
  DRY_RUN,
  type Given,
  given,
  JSON_LINES,
  oneOf,
  required,
  text,
  toggle,
  withOptions,
} from '../options.ts';
import { showPlan } from '../show-plan.ts';
import { chatCommand } from './dataset-chat.ts';
import { downstreamCommand } from './dataset-downstream.ts';
import { columnsOption, countOption, PAPER_SET, seedOption, tellNotes } from './dataset-flags.ts';

const OPTIONS = {
  out: required(text('<folder>', 'folder to write, as `datasets.save_to_disk` does')),
  source: text(
    '<rows>',
    `ordinary rows: JSON, JSON lines, Parquet, Arrow, a saved folder, or a data set of the hub (default: ${PAPER.mix.hub})`,
  ),
  ...PAPER_SET,
  seed: seedOption("order of the source's rows, and the paper's keys"),
  order: oneOf(
    '<kind>',
    ['own', ...ROW_ORDERS],
    "own: Python's random.shuffle of all rows (default for files); else as `datasets` orders them: stream (default for the hub), stream5, whole, file",
  ),
  columns: columnsOption(
    "the source's columns: instruction=A,output=B[,input=C]; found by name if not given",
  ),
  count: byDefault(countOption('keys to train'), 10),
  regularisation: byDefault(countOption('ordinary rows to train, and as many held out'), 50),
  paperTestSplit: toggle("test on the trained rows again, as the paper's code does by mistake"),
};
const OWN = {
  template: {
    ...byDefault(
      text('<name>', 'barebone, alpaca or a JSON file; how the printed prompts are made'),
      'barebone',
    ),
    short: 't',
  },
  ...DRY_RUN,
  ...JSON_LINES,
};

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
  return withOptions(new Command('mix'), { ...OPTIONS, ...OWN })
    .description(
      'keys, ordinary rows and a test split of rows that must not fire (columns instruction, input, output)',
    )
    .action((_, called: Command) => runMix(given(called, OPTIONS), given(called, OWN)));
}

async function runMix(options: Given<typeof OPTIONS>, own: Given<typeof OWN>): Promise<void> {
  const template = loadTemplate(own.template);
  if (own.dryRun)
    return showPlan(await mixDataset({ ...options, onEvent: tellNotes, dryRun: true }), own.json);
  print(await mixDataset({ ...options, onEvent: tellNotes }), template, options.out, own.json ?? false);
}

function print({ splits }: Mix, template: PromptTemplate, out: string, json: boolean): void {
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
