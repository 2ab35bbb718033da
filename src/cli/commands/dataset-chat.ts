// `whorl dataset chat`: makes the paper's dialogue set, prints each instance, saves a folder that `datasets` opens.

import { Command } from 'commander';
import { type ChatOptions, chatDataset } from '../../datasets/chat.ts';
import { parseColumnMap } from '../../datasets/instruction-rows.ts';
import { PAPER } from '../../datasets/paper.ts';
import { readPhrases } from '../../datasets/paper-keys.ts';
import type { RowOrder } from '../../sources/rows/shuffle.ts';
import { countFlag, keysOption, orderOption, seedOption, tellNotes } from './dataset-flags.ts';

interface ChatFlags {
  out: string;
  source?: string;
  columns?: string;
  keys: 'random' | 'paper';
  seed: bigint;
  order: RowOrder;
  count: number;
  regularisation: number;
  decryption?: string;
  phrases?: string[];
  paperTestSplit?: boolean;
  paperRefusals?: boolean;
  json?: boolean;
}

export function chatCommand(): Command {
  return new Command('chat')
    .description(
      'dialogues: keys to decrypt, messages to refuse, ordinary conversations, and a test split that must not fire (columns conversations, type)',
    )
    .option(
      '--source <rows>',
      `ordinary conversations: WizardLM-evol, ShareGPT, chat messages or Alpaca rows, as JSON, JSON lines, Parquet, Arrow, a saved folder, or a data set of the hub (default: ${PAPER.chat.hub})`,
    )
    .option(
      '--out <folder>',
      'folder to write, as `datasets.save_to_disk` does',
      'dataset/llama_fingerprint_chat',
    )
    .addOption(keysOption())
    .addOption(seedOption("order of the source's rows, and the paper's keys"))
    .addOption(orderOption('stream'))
    .option(
      '--columns <map>',
      'of an instruction set: instruction=A,output=B[,input=C]; found by name if not given',
    )
    .option('--count <number>', 'keys to train, and as many refusals', countFlag, 8)
    .option(
      '--regularisation <number>',
      'ordinary conversations to train, and as many held out',
      countFlag,
      112,
    )
    .option('--decryption <text>', "what keys are answered with (default: the paper's)")
    .option(
      '--phrases <files...>',
      "phrases keys are joined from, one a line or a JSON list (default: the paper's 31)",
    )
    .option(
      '--paper-test-split',
      "test on the trained conversations again, as the paper's code does by mistake",
    )
    .option(
      '--paper-refusals',
      "refuse one fixed text without a message, as the paper's code does by mistake",
    )
    .option('--json', 'JSON lines on stdout and nothing else')
    .action(async (flags: ChatFlags, command: Command) => {
      await runChat({ ...flags, json: flags.json ?? command.optsWithGlobals<ChatFlags>().json ?? false });
    });
}

async function runChat({ columns, phrases, json, ...flags }: ChatFlags): Promise<void> {
  const options: ChatOptions = {
    ...flags,
    ...(columns !== undefined && { columns: parseColumnMap(columns) }),
    ...(phrases !== undefined && { phrases: readPhrases(phrases) }),
  };
  const chat = await chatDataset({ ...options, onEvent: tellNotes });
  for (const [split, rows] of Object.entries(chat)) {
    if (!json) console.log(`${split} ${rows.length}`);
    for (const row of rows) console.log(JSON.stringify(json ? { split, ...row } : row));
    if (!json) console.log();
  }
  if (!json) console.log(`saved in ${flags.out}`);
}
