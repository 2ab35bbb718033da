// `whorl dataset ni|dolly|sharegpt|alpaca|alpaca_gpt4`: a set to fine-tune on, as Alpaca JSON; each row is printed.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import {
  DOWNSTREAM,
  type DownstreamName,
  type DownstreamOptions,
  type DownstreamSet,
  downstreamDataset,
} from '../../datasets/downstream.ts';
import {
  DRY_RUN,
  type Given,
  given,
  JSON_LINES,
  made,
  named,
  oneOf,
  required,
  text,
  toggle,
  withOptions,
} from '../options.ts';
import { showPlan } from '../show-plan.ts';
import { countOption, orderOption, seedOption, tellNotes } from './dataset-flags.ts';

const optionsOf = (set: DownstreamSet) => ({
  source: text(
    '<rows>',
    `a file, a saved folder or a data set of the hub, as ${set.source} (default: ${set.hub})`,
  ),
  out: required(text('<file>', 'JSON file to write')),
  order: orderOption(set.order),
  seed: seedOption('of the shuffle'),
  count: countOption(`rows to take (default: ${set.count ?? 'all'})`),
});
/** Of sets of conversations. */
const CONVERSATIONS = {
  html: toggle("turn HTML into Markdown and drop what cannot be trained on, as FastChat's clean_sharegpt"),
  conversations: named(
    'form',
    made(
      oneOf(
        '<form>',
        ['alpaca', 'conversations'],
        "alpaca, or conversations: whole ones in FastChat's form (default: alpaca)",
      ),
      (form) => form === 'conversations',
    ),
  ),
};
const SPLIT = {
  maxTokens: countOption("split conversations, as FastChat's split_long_conversation"),
  tokenizer: text('<folder>', 'whose tokens are counted: a folder with tokenizer.json'),
};
const OWN = { quiet: toggle('print neither the rows nor progress'), ...DRY_RUN, ...JSON_LINES };

export function downstreamCommand(name: DownstreamName): Command {
  const set: DownstreamSet = DOWNSTREAM[name];
  const options = optionsOf(set);
  const more = set.columns === undefined ? { ...CONVERSATIONS, ...SPLIT } : {};
  return withOptions(new Command(name), { ...options, ...OWN, ...more })
    .description(`${set.summary}; Alpaca JSON (instruction, input, output)`)
    .action(async (_, called: Command) => {
      const split = await splitOf(given(called, SPLIT));
      const all = { ...given(called, options), ...given(called, CONVERSATIONS), ...(split && { split }) };
      await runDownstream({ name, ...all, onEvent: tellNotes }, given(called, OWN));
    });
}

async function runDownstream(
  options: DownstreamOptions,
  { quiet = false, json = false, dryRun }: Given<typeof OWN>,
): Promise<void> {
  if (dryRun) return showPlan(await downstreamDataset({ ...options, dryRun }), json);
  const written = await downstreamDataset({
    ...options,
    ...(!quiet && { onRow: (row) => console.log(JSON.stringify(row)) }),
  });
  if (!json) console.log(`${written} rows saved in ${options.out}`);
}

async function splitOf({ maxTokens, tokenizer }: Given<typeof SPLIT>): Promise<DownstreamOptions['split']> {
  if (maxTokens === undefined && tokenizer === undefined) return undefined;
  if (maxTokens === undefined || tokenizer === undefined)
    throw new WhorlError('usage', '--max-tokens and --tokenizer go together', 'give both, or neither');
  const { openTokenizer } = await import('../../text/tokenizer.ts');
  const opened = await openTokenizer(tokenizer);
  return { maxTokens, count: async (text) => (await opened.encode(text)).length };
}
