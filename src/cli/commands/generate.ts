// `whorl generate`: continuations of prompts, greedy or sampled, one line a sample, in order.

import { Command } from 'commander';
import type { WhorlError } from '../../base/error.ts';
import type { GenerateRequest, Generation } from '../../lm/language-model.ts';
import { fullSampling } from '../../lm/sampling.ts';
import { decimal, repeated, wholeNumber } from '../arguments.ts';
import { type ModelFlags, oneInput, rowsOf, textColumn, withModel, withModelFlags } from '../model-flags.ts';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';
import { RowErrors } from '../rows.ts';

interface GenerateFlags extends ModelFlags {
  prompt?: string[];
  input?: string;
  maxNewTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  seed?: number;
  numSamples?: number;
  stop?: string[];
  json?: boolean;
}

export function generateCommand(): Command {
  return withModelFlags(new Command('generate'))
    .description(
      'Continuations of prompts, greedy unless a temperature is given. A prompt gives the same text alone or among others.',
    )
    .option('--prompt <text>', 'a prompt; may be repeated', repeated)
    .option('--input <rows>', 'rows {prompt}: JSON, JSON lines, Parquet or Arrow')
    .option('--max-new-tokens <number>', 'most tokens of a continuation', wholeNumber(1), 40)
    .option(
      '--temperature <number>',
      'above 0: draw tokens, the more freely the higher (default: 0)',
      decimal,
    )
    .option('--top-k <number>', 'draw from the k most probable tokens only', wholeNumber(0))
    .option('--top-p <number>', 'draw from the fewest tokens that have this probability together', decimal)
    .option('--repetition-penalty <number>', 'above 1: make tokens that occurred less probable', decimal)
    .option('--seed <number>', 'what is drawn is a function of it (default: 0)', wholeNumber(0))
    .option('--num-samples <number>', 'continuations of each prompt', wholeNumber(1), 1)
    .option('--stop <text>', 'end a continuation before this text; may be repeated', repeated)
    .option('--json', 'JSON lines on stdout and nothing else')
    .action((flags: GenerateFlags) => runGenerate(flags));
}

async function runGenerate(flags: GenerateFlags): Promise<void> {
  oneInput(
    flags.prompt !== undefined,
    flags.input !== undefined,
    '--prompt (as often as you like) or --input prompts.jsonl',
  );
  fullSampling(requestOf('', flags).sampling); // out of range: said before the model is opened
  const rows =
    flags.prompt?.map((prompt) => requestOf(prompt, flags)) ??
    rowsOf(flags.input!, (row, where) => requestOf(textColumn(row, 'prompt', where), flags));
  const errors = new RowErrors();
  const json = flags.json ?? false;
  let count = 0;
  const counted = async function* () {
    for await (const row of rows) {
      count++;
      yield row;
    }
  };
  const onRowError = (row: number, error: WhorlError): void => {
    if (flags.prompt?.length === 1) throw error;
    errors.show(error, json, `${flags.input ? `${flags.input}: row` : 'prompt'} ${row + 1}`);
  };
  await withProgress((onEvent) =>
    withModel(flags, onEvent, async (model) => {
      const [{ generateEach }, { GENERATE_GROUP: group }] = await Promise.all([
        import('../../lm/ask.ts'),
        import('../../lm/calls.ts'),
      ]);
      const name = 'generating';
      onEvent({ kind: 'phase', name });
      for await (const generation of generateEach(model, counted(), { group, name, onEvent, onRowError }))
        show(generation, json);
      errors.end(count);
    }),
  );
}

const requestOf = (prompt: string, flags: GenerateFlags): GenerateRequest => ({
  prompt,
  max_new_tokens: flags.maxNewTokens,
  num_samples: flags.numSamples ?? 1,
  stop: flags.stop ?? [],
  sampling: {
    ...(flags.temperature !== undefined && { temperature: flags.temperature }),
    ...(flags.topK !== undefined && { top_k: flags.topK }),
    ...(flags.topP !== undefined && { top_p: flags.topP }),
    ...(flags.repetitionPenalty !== undefined && { repetition_penalty: flags.repetitionPenalty }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  },
});

function show({ prompt, generated, generated_token }: Generation, json: boolean): void {
  if (json) printJson({ prompt, generated, generated_token });
  else print(`${paint.dim(printable(prompt))}${printable(generated)}\n`);
}

/** What a model writes may hold control sequences; a terminal must not obey them. Line ends and tabs stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const printable = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
