// `whorl merge`: a LoRA adapter into the weights of its base model.

import { Command } from 'commander';
import { type ConfigFlags, configKeys, withConfigFlag } from '../model-flags.ts';
import { countText, paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';

interface MergeFlags extends ConfigFlags {
  model: string;
  adapter: string;
  out: string;
  json?: boolean;
}

export function mergeCommand(): Command {
  return withConfigFlag(new Command('merge'))
    .description(
      "W + scale·B·A in the base's own dtypes; every other tensor and file byte for byte. The adapter is one that PEFT or `whorl finetune --lora` saved.",
    )
    .requiredOption('--model <model>', 'the base: a Hugging Face folder, a GGUF file or a hub id')
    .requiredOption('--adapter <folder>', 'adapter_config.json and adapter_model.safetensors')
    .requiredOption('--out <folder>', 'model folder to write')
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((flags: MergeFlags) => runMerge(flags));
}

async function runMerge({ json, ignoreConfigKey, ...options }: MergeFlags): Promise<void> {
  const { mergeAdapter } = await import('../../models/merge-adapter.ts');
  const report = await withProgress((onEvent) =>
    mergeAdapter({ ...options, ...configKeys({ ignoreConfigKey }), onEvent }),
  );
  if (json) return printJson(report);
  print(paint.bold(`${countText(report.changed.length)} tensors changed`));
  for (const name of report.changed) print(`  ${shownText(name)}`);
  tell(paint.dim(`${countText(report.kept)} tensors as they were; in ${report.out}`));
}
