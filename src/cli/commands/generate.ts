// `whorl generate`: continuations of prompts, greedy or sampled, one line a sample, in order.

import { Command } from 'commander';
import type { WhorlError } from '../../base/error.ts';
import type { TextRequest, TokenGeneration } from '../../lm/language-model.ts';
import { fullSampling } from '../../lm/sampling.ts';
import { ASKED, oneInput, PAPER_ADAPTER, rowsOf, textColumn, withModel } from '../model-flags.ts';
import {
  byDefault,
  decimal,
  type Given,
  given,
  JSON_LINES,
  text,
  texts,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';
import { RowErrors } from '../rows.ts';

const WHO = { ...ASKED, ...PAPER_ADAPTER };
const SAMPLING = {
  temperature: decimal('<number>', 'above 0: draw tokens, the more freely the higher (default: 0)'),
  top_k: wholeNumber('<number>', 0, 'draw from the k most probable tokens only'),
  top_p: decimal('<number>', 'draw from the fewest tokens that have this probability together'),
  repetition_penalty: decimal('<number>', 'above 1: make tokens that occurred less probable'),
  seed: wholeNumber('<number>', 0, 'what is drawn is a function of it (default: 0)'),
};
const REQUEST = {
  max_new_tokens: byDefault(wholeNumber('<number>', 1, 'most tokens of a continuation'), 40),
  num_samples: byDefault(wholeNumber('<number>', 1, 'continuations of each prompt'), 1),
  stop: texts('<text>', 'end a continuation before this text; may be repeated'),
};
const OWN = {
  prompt: texts('<text>', 'a prompt; may be repeated'),
  input: text('<rows>', 'rows {prompt}: JSON, JSON lines, Parquet or Arrow'),
  ...JSON_LINES,
};

export function generateCommand(): Command {
  return withOptions(new Command('generate'), { ...WHO, ...REQUEST, ...SAMPLING, ...OWN })
    .description(
      'Continuations of prompts, greedy unless a temperature is given. A prompt gives the same text alone or among others.',
    )
    .action((_, called: Command) => {
      const request = { ...given(called, REQUEST), sampling: given(called, SAMPLING) };
      return runGenerate(given(called, WHO), request, given(called, OWN));
    });
}

async function runGenerate(
  asked: Given<typeof WHO>,
  request: Omit<TextRequest, 'prompt'>,
  flags: Given<typeof OWN>,
): Promise<void> {
  oneInput(
    flags.prompt !== undefined,
    flags.input !== undefined,
    '--prompt (as often as you like) or --input prompts.jsonl',
  );
  fullSampling(request.sampling); // out of range: said before the model is opened
  const rows =
    flags.prompt?.map((prompt) => ({ ...request, prompt })) ??
    rowsOf(flags.input!, (row, where) => ({ ...request, prompt: textColumn(row, 'prompt', where) }));
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
    withModel(asked, onEvent, async (model) => {
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

function show({ prompt, generated, generated_token }: TokenGeneration, json: boolean): void {
  if (json) printJson({ prompt, generated, generated_token });
  else print(`${paint.dim(printable(prompt))}${printable(generated)}\n`);
}

/** What a model writes may hold control sequences; a terminal must not obey them. Line ends and tabs stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const printable = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
