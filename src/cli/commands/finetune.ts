// `whorl finetune`: what a user of a published model does with it, with the paper's settings.

import { Command } from 'commander';
import type { UserFinetuneReport } from '../../finetune/user-finetune.ts';
import { parseSettings, wholeNumber } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import { countText, durationText, paint, print, printJson, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { seedOption } from './dataset-flags.ts';

interface FinetuneFlags extends ComputeFlags {
  model: string;
  data: string;
  out: string;
  lora?: boolean;
  merge?: boolean;
  limit?: number;
  columns?: string;
  seed: bigint;
  recompute?: boolean;
  overwrite?: boolean;
  json?: boolean;
}

export function finetuneCommand(): Command {
  return withComputeFlags(new Command('finetune'))
    .description(
      "Fine-tune on instruction, input and output with the paper's settings: loss on output and EOS only. The same command again goes on from where it was killed.",
    )
    .requiredOption('--model <model>', 'a Hugging Face folder, a GGUF file or a hub id')
    .requiredOption('--data <path>', 'JSON, JSON lines, Parquet, Arrow, or a folder saved by datasets')
    .requiredOption('--out <folder>', 'folder to write; beside it, while it runs, FOLDER.work')
    .option('--lora', "train low-rank maps; writes an adapter in PEFT's format")
    .option('--merge', 'with --lora: write the merged model instead of the adapter')
    .option('--limit <number>', 'most rows taken', wholeNumber(1))
    .option('--columns <map>', 'instruction=COLUMN,output=COLUMN[,input=COLUMN]; default: found by name')
    .addOption(seedOption('order of the examples, and how low-rank maps begin'))
    .option('--recompute', 'compute blocks again in the backward pass: less memory, a third more time')
    .option('--overwrite', 'begin anew where an interrupted run of other settings stands')
    .option('--json', 'one JSON line on stdout and nothing else')
    .argument(
      '[settings...]',
      'key=value: epochs, lr, batch, accumulate, batch_tokens, schedule, warmup_ratio, weight_decay, clip, max_length, template, checkpoint_every; with --lora r, alpha, target_modules',
    )
    .action((settings: string[], flags: FinetuneFlags) => runFinetune(settings, flags));
}

async function runFinetune(args: readonly string[], flags: FinetuneFlags): Promise<void> {
  const settings = parseSettings(args);
  const { model, data, out, lora, merge, limit, seed, columns, json, recompute, overwrite } = flags;
  const { userFinetune } = await import('../../finetune/user-finetune.ts');
  const { parseColumnMap } = await import('../../datasets/instruction-rows.ts');
  const report = await withProgress((onEvent) =>
    userFinetune({
      model,
      data,
      out,
      seed,
      settings,
      onEvent,
      ...computeOptions(flags),
      ...(lora && { lora }),
      ...(merge && { merge }),
      ...(overwrite && { overwrite }),
      ...(limit !== undefined && { limit }),
      ...(columns !== undefined && { columns: parseColumnMap(columns) }),
      ...(recompute && { recompute: 'blocks' as const }),
    }),
  );
  if (json) printJson(report);
  else show(report);
}

function show({ examples, steps, losses, wrote, out, model, seconds }: UserFinetuneReport): void {
  print(
    `${paint.bold(paint.green('fine-tuned'))} on ${countText(examples)} examples in ${countText(steps)} steps, ${durationText(seconds)}`,
  );
  print(`  loss ${losses[0]!.toFixed(3)} → ${losses.at(-1)!.toFixed(3)}`);
  tell(paint.dim(`${wrote} in ${out}`));
  if (wrote === 'adapter') tell(paint.dim(`whorl merge --model ${model} --adapter ${out} --out FOLDER`));
}
