// `whorl merge`: base and LoRA adapter in, one model folder out.

import { Command } from 'commander';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';

interface MergeFlags {
  model: string;
  adapter: string;
  out: string;
  json?: boolean;
}

export function mergeCommand(): Command {
  return new Command('merge')
    .description("Add a LoRA adapter in PEFT's format into the weights of its model.")
    .requiredOption('--model <model>', 'what it was trained on: a folder, a GGUF file or a hub id')
    .requiredOption('--adapter <folder>', 'adapter_config.json and adapter_model.safetensors')
    .requiredOption('--out <folder>', 'the model folder to write')
    .option('--json', 'one JSON line on stdout and nothing else')
    .action(runMerge);
}

async function runMerge({ json, ...options }: MergeFlags): Promise<void> {
  const { mergeAdapter } = await import('../../train/merge.ts');
  const report = await withProgress((onEvent) => mergeAdapter({ ...options, onEvent }));
  if (json) return printJson(report);
  print(`${paint.bold(paint.green('merged'))}: ${report.changed.length} tensors changed, ${report.out}`);
  for (const name of report.changed) print(paint.dim(`  ${name}`));
}
