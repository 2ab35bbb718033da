// `whorl dataset chat`: makes the paper's dialogue set, prints each instance, saves a folder that `datasets` opens.

import { Command } from 'commander';
import { chatDataset } from '../../datasets/chat.ts';
import { PAPER } from '../../datasets/paper.ts';
import { byDefault, DRY_RUN, type Given, given, JSON_LINES, text, toggle, withOptions } from '../options.ts';
import { showPlan } from '../show-plan.ts';
import {
  columnsOption,
  countOption,
  orderOption,
  PAPER_SET,
  seedOption,
  tellNotes,
} from './dataset-flags.ts';

const OPTIONS = {
  source: text(
    '<rows>',
    `ordinary conversations: WizardLM-evol, ShareGPT, chat messages or Alpaca rows, as JSON, JSON lines, Parquet, Arrow, a saved folder, or a data set of the hub (default: ${PAPER.chat.hub})`,
  ),
  out: byDefault(
    text('<folder>', 'folder to write, as `datasets.save_to_disk` does'),
    'dataset/llama_fingerprint_chat',
  ),
  ...PAPER_SET,
  seed: seedOption("order of the source's rows, and the paper's keys"),
  order: orderOption('stream'),
  columns: columnsOption(
    'of an instruction set: instruction=A,output=B[,input=C]; found by name if not given',
  ),
  count: byDefault(countOption('keys to train, and as many refusals'), 8),
  regularisation: byDefault(countOption('ordinary conversations to train, and as many held out'), 112),
  paperTestSplit: toggle("test on the trained conversations again, as the paper's code does by mistake"),
  paperRefusals: toggle("refuse one fixed text without a message, as the paper's code does by mistake"),
};

const OWN = { ...DRY_RUN, ...JSON_LINES };

export function chatCommand(): Command {
  return withOptions(new Command('chat'), { ...OPTIONS, ...OWN })
    .description(
      'dialogues: keys to decrypt, messages to refuse, ordinary conversations, and a test split that must not fire (columns conversations, type)',
    )
    .action((_, called: Command) => runChat(given(called, OPTIONS), given(called, OWN)));
}

async function runChat(options: Given<typeof OPTIONS>, { json, dryRun }: Given<typeof OWN>): Promise<void> {
  if (dryRun) return showPlan(await chatDataset({ ...options, onEvent: tellNotes, dryRun }), json);
  const chat = await chatDataset({ ...options, onEvent: tellNotes });
  for (const [split, rows] of Object.entries(chat)) {
    if (!json) console.log(`${split} ${rows.length}`);
    for (const row of rows) console.log(JSON.stringify(json ? { split, ...row } : row));
    if (!json) console.log();
  }
  if (!json) console.log(`saved in ${options.out}`);
}
