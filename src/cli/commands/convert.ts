// `whorl convert`: a model folder as a GGUF file.

import { Command } from 'commander';
import { CONFIG, MODEL } from '../model-flags.ts';
import { DRY_RUN, type Given, given, JSON_LINE, oneOf, required, text, withOptions } from '../options.ts';
import { bytesText, countText, paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  model: MODEL,
  to: required(oneOf('<format>', ['gguf'], 'what to make of it')),
  type: required(
    oneOf(
      '<type>',
      ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_k'],
      'what matrices are stored as; vectors and norms stay float32',
    ),
  ),
  out: required(text('<file>', 'file to write')),
  ...CONFIG,
  ...DRY_RUN,
};

export function convertCommand(): Command {
  return withOptions(new Command('convert'), { ...OPTIONS, ...JSON_LINE })
    .description(
      'The model and its tokenizer as one GGUF file that llama.cpp opens. What a GGUF cannot say is refused by name before anything is written.',
    )
    .action((_, called: Command) => runConvert(given(called, OPTIONS), given(called, JSON_LINE)));
}

async function runConvert(
  { dryRun, ...options }: Given<typeof OPTIONS>,
  { json }: Given<typeof JSON_LINE>,
): Promise<void> {
  const { convertModel } = await import('../../models/convert-to-gguf.ts');
  if (dryRun)
    return showPlan(await withProgress((onEvent) => convertModel({ ...options, dryRun, onEvent })), json);
  const report = await withProgress((onEvent) => convertModel({ ...options, onEvent }));
  if (json) return printJson(report);
  const types = Object.entries(report.tensors).map(([type, count]) => `${countText(count)} ${type}`);
  print(
    `${paint.bold(shownText(report.out))}  ${report.architecture}, ${bytesText(report.bytes)}: ${types.join(', ')}`,
  );
  for (const text of report.lost) tell(paint.dim(`a GGUF cannot say: ${text}`));
}
