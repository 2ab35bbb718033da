// `whorl merge`: a LoRA adapter into the weights of its base model.

import { Command } from 'commander';
import { CONFIG, MODEL } from '../model-flags.ts';
import { DRY_RUN, type Given, given, JSON_LINE, required, text, withOptions } from '../options.ts';
import { countText, paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  model: MODEL,
  adapter: required(text('<folder>', 'adapter_config.json and adapter_model.safetensors')),
  out: required(text('<folder>', 'model folder to write')),
  ...CONFIG,
  ...DRY_RUN,
};

export function mergeCommand(): Command {
  return withOptions(new Command('merge'), { ...OPTIONS, ...JSON_LINE })
    .description(
      "As PEFT merges, in the base's own dtypes; every other tensor and file byte for byte. The adapter is one that PEFT or `whorl finetune --lora` saved.",
    )
    .action((_, called: Command) => runMerge(given(called, OPTIONS), given(called, JSON_LINE)));
}

async function runMerge(
  { dryRun, ...options }: Given<typeof OPTIONS>,
  { json }: Given<typeof JSON_LINE>,
): Promise<void> {
  const { mergeAdapter } = await import('../../models/merge-adapter.ts');
  if (dryRun)
    return showPlan(await withProgress((onEvent) => mergeAdapter({ ...options, dryRun, onEvent })), json);
  const report = await withProgress((onEvent) => mergeAdapter({ ...options, onEvent }));
  if (json) return printJson(report);
  print(paint.bold(`${countText(report.changed.length)} tensors changed`));
  for (const name of report.changed) print(`  ${shownText(name)}`);
  tell(paint.dim(`${countText(report.kept)} tensors as they were; in ${report.out}`));
}
