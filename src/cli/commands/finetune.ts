// `whorl finetune`: instruction rows in, a fine-tuned model folder out. Resumable at any moment.

import { Command } from 'commander';
import { parseSettings, wholeNumber } from '../arguments.ts';
import { countText, durationText, paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';

interface FinetuneFlags {
  model: string;
  data: string;
  out: string;
  columns?: string;
  limit?: number;
  adapter?: string;
  json?: boolean;
}

export function finetuneCommand(): Command {
  return new Command('finetune')
    .description(
      "Fine-tune a model on instruction rows as its users do: Alpaca's prompt, loss on the answer alone, the paper's settings by default.",
    )
    .requiredOption('--model <model>', 'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])')
    .requiredOption('--data <file>', 'JSON, JSON lines, Parquet, Arrow or a saved data set')
    .requiredOption('--out <folder>', 'the model folder to write; the same command goes on with a killed run')
    .option('--columns <map>', 'instruction=COLUMN,output=COLUMN[,input=COLUMN] where names are unusual')
    .option('--limit <number>', 'at most so many rows', wholeNumber(1))
    .option('--adapter <folder>', "with trains=lora: also the maps alone, in PEFT's format")
    .option('--json', 'one JSON line on stdout and nothing else')
    .argument('[settings...]', 'epochs, lr, batch, trains=full|lora, rank, modules … as key=value')
    .action(runFinetune);
}

async function runFinetune(args: readonly string[], flags: FinetuneFlags): Promise<void> {
  const settings = parseSettings(args);
  const { model, data, out, columns, limit, adapter } = flags;
  const [{ userFinetune }, { parseColumnMap }] = await Promise.all([
    import('../../fingerprint/user-finetune.ts'),
    import('../../fingerprint/instruction-rows.ts'),
  ]);
  const report = await withProgress((onEvent) =>
    userFinetune({
      model,
      data,
      out,
      settings,
      onEvent,
      ...(columns !== undefined && { columns: parseColumnMap(columns) }),
      ...(limit !== undefined && { limit }),
      ...(adapter !== undefined && { adapter }),
    }),
  );
  if (flags.json) return printJson(report);
  print(`${paint.bold(paint.green('fine-tuned'))} in ${durationText(report.seconds)}: ${report.out}`);
  print(
    paint.dim(
      `  ${countText(report.steps)} steps over ${countText(report.examples)} examples of ${countText(report.tokens)} tokens; loss ${report.first_loss.toFixed(3)} in the first epoch, ${report.last_loss.toFixed(3)} in the last`,
    ),
  );
}
