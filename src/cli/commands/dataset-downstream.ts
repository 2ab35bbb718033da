// `whorl dataset ni|dolly|sharegpt|alpaca|alpaca_gpt4`: a set to fine-tune on, as Alpaca JSON; each row is printed.

import { Command, Option } from 'commander';
import { WhorlError } from '../../base/error.ts';
import {
  DOWNSTREAM,
  type DownstreamName,
  type DownstreamOptions,
  type DownstreamSet,
  downstreamDataset,
} from '../../datasets/downstream.ts';
import type { RowOrder } from '../../sources/rows/shuffle.ts';
import { countFlag, orderOption, seedOption, tellNotes } from './dataset-flags.ts';

interface DownstreamFlags {
  out: string;
  source?: string;
  order: RowOrder;
  seed: bigint;
  count?: number;
  quiet?: boolean;
  json?: boolean;
  html?: boolean;
  maxTokens?: number;
  tokenizer?: string;
  form?: 'alpaca' | 'conversations';
}

export function downstreamCommand(name: DownstreamName): Command {
  const set: DownstreamSet = DOWNSTREAM[name];
  const command = new Command(name)
    .description(`${set.summary}; Alpaca JSON (instruction, input, output)`)
    .option(
      '--source <rows>',
      `a file, a saved folder or a data set of the hub, as ${set.source} (default: ${set.hub})`,
    )
    .requiredOption('--out <file>', 'JSON file to write')
    .addOption(orderOption(set.order))
    .addOption(seedOption('of the shuffle'))
    .option('--count <number>', `rows to take (default: ${set.count ?? 'all'})`, countFlag)
    .option('--quiet', 'print neither the rows nor progress')
    .option('--json', 'JSON lines on stdout and nothing else');
  if (set.columns === undefined)
    command
      .option(
        '--html',
        "turn HTML into Markdown and drop what cannot be trained on, as FastChat's clean_sharegpt",
      )
      .option(
        '--max-tokens <number>',
        "split conversations, as FastChat's split_long_conversation",
        countFlag,
      )
      .option('--tokenizer <folder>', 'whose tokens are counted: a folder with tokenizer.json')
      .addOption(
        new Option('--form <form>', "alpaca, or conversations: whole ones in FastChat's form")
          .choices(['alpaca', 'conversations'])
          .default('alpaca'),
      );
  return command.action(async (flags: DownstreamFlags, self: Command) => {
    const json = flags.json ?? self.optsWithGlobals<DownstreamFlags>().json ?? false;
    await runDownstream(name, { ...flags, json });
  });
}

async function runDownstream(name: DownstreamName, flags: DownstreamFlags): Promise<void> {
  const { out, source, order, seed, count, quiet = false, json = false } = flags;
  const split = await splitOf(flags);
  const written = await downstreamDataset({
    name,
    out,
    ...(source !== undefined && { source }),
    order,
    seed,
    ...(count !== undefined && { count }),
    html: flags.html ?? false,
    ...(split && { split }),
    conversations: flags.form === 'conversations',
    ...(!quiet && { onRow: (row) => console.log(JSON.stringify(row)) }),
    onEvent: tellNotes,
  });
  if (!json) console.log(`${written} rows saved in ${out}`);
}

async function splitOf({ maxTokens, tokenizer }: DownstreamFlags): Promise<DownstreamOptions['split']> {
  if (maxTokens === undefined && tokenizer === undefined) return undefined;
  if (maxTokens === undefined || tokenizer === undefined)
    throw new WhorlError('usage', '--max-tokens and --tokenizer go together', 'give both, or neither');
  const { openTokenizer } = await import('../../text/tokenizer.ts');
  const opened = await openTokenizer(tokenizer);
  return { maxTokens, count: async (text) => (await opened.encode(text)).length };
}
