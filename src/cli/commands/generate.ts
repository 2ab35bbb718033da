// `whorl generate`: greedy continuations of prompts, one a row, in order.

import { Command, Option } from 'commander';
import { WhorlError } from '../../base/error.ts';
import type { Generation } from '../../lm/language-model.ts';
import { repeated, wholeNumber } from '../arguments.ts';
import {
  inOrder,
  type ModelFlags,
  oneInput,
  rowGroups,
  textColumn,
  withModel,
  withModelFlags,
} from '../model-flags.ts';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';

interface GenerateFlags extends ModelFlags {
  prompt?: string[];
  input?: string;
  maxNewTokens: number;
  temperature: string;
  topK?: string;
  topP?: string;
  seed?: string;
  numSamples: string;
  json?: boolean;
}

const GROUP = 256;

export function generateCommand(): Command {
  const sampling = (flags: string, fallback?: string) => {
    const option = new Option(flags).hideHelp();
    return fallback === undefined ? option : option.default(fallback);
  };
  return withModelFlags(new Command('generate'))
    .description(
      'Greedy continuations of prompts. A prompt gives the same text alone or among others, bit for bit.',
    )
    .option('--prompt <text>', 'a prompt; may be repeated', repeated)
    .option('--input <rows>', 'rows {prompt}: JSON, JSON lines, Parquet or Arrow')
    .option('--max-new-tokens <number>', 'most tokens of a continuation', wholeNumber(1), 40)
    .option('--json', 'JSON lines on stdout and nothing else')
    .addOption(sampling('--temperature <number>', '0'))
    .addOption(sampling('--top-k <number>'))
    .addOption(sampling('--top-p <number>'))
    .addOption(sampling('--seed <number>'))
    .addOption(sampling('--num-samples <number>', '1'))
    .action((flags: GenerateFlags) => runGenerate(flags));
}

async function runGenerate(flags: GenerateFlags): Promise<void> {
  refuseSampling(flags);
  oneInput(
    flags.prompt !== undefined,
    flags.input !== undefined,
    '--prompt (as often as you like) or --input prompts.jsonl',
  );
  const groups = flags.prompt
    ? [flags.prompt]
    : rowGroups(flags.input!, (row, where) => textColumn(row, 'prompt', where), GROUP);
  await withProgress((onEvent) =>
    withModel(flags, onEvent, async (model) => {
      let [done, known] = [0, 0];
      onEvent({ kind: 'phase', name: 'generating' });
      for await (const group of groups) {
        known += group.length;
        const requests = group.map((prompt) => ({ prompt, max_new_tokens: flags.maxNewTokens }));
        for await (const { generation } of inOrder(model.generate(requests))) {
          onEvent({ kind: 'progress', name: 'generating', done: ++done, total: known });
          show(generation, flags.json ?? false);
        }
      }
    }),
  );
}

/** Greedy alone in this version: a flag that asks for chance is refused, not ignored. */
function refuseSampling({ temperature, topK, topP, seed, numSamples }: GenerateFlags): void {
  const asked = [
    [Number(temperature) !== 0 && `--temperature ${temperature}`],
    [topK !== undefined && Number(topK) !== 1 && `--top-k ${topK}`],
    [topP !== undefined && `--top-p ${topP}`],
    [seed !== undefined && `--seed ${seed}`],
    [numSamples !== '1' && `--num-samples ${numSamples}`],
  ].flatMap(([flag]) => (typeof flag === 'string' ? [flag] : []));
  if (asked.length > 0)
    throw new WhorlError(
      'usage',
      `${asked[0]} asks for sampling, this version decodes greedily`,
      `leave ${asked[0]!.split(' ')[0]} out`,
    );
}

function show({ prompt, generated, generated_token }: Generation, json: boolean): void {
  if (json) printJson({ prompt, generated, generated_token });
  else print(`${paint.dim(printable(prompt))}${printable(generated)}\n`);
}

/** What a model writes may hold control sequences; a terminal must not obey them. Line ends and tabs stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const printable = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
