// `whorl finetune`: what a user of a published model does with it, with the paper's settings.

import { Command } from 'commander';
import { parseColumnMap } from '../../datasets/instruction-rows.ts';
import { FULL, LORA } from '../../finetune/settings.ts';
import type { UserFinetuneReport } from '../../finetune/user-finetune.ts';
import { isWaiting } from '../../launch/job.ts';
import { commandLine, parseSettings } from '../arguments.ts';
import { LAUNCH, launchFrom, showWaiting } from '../launch-flags.ts';
import { COMPUTE, MODEL } from '../model-flags.ts';
import {
  DRY_RUN,
  type Given,
  given,
  JSON_LINE,
  made,
  required,
  text,
  toggle,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { countText, durationText, paint, print, printJson, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { settingLines } from '../settings-help.ts';
import { showPlan } from '../show-plan.ts';
import { seedOption } from './dataset-flags.ts';

const OPTIONS = {
  model: MODEL,
  data: required(text('<path>', 'JSON, JSON lines, Parquet, Arrow, or a folder saved by datasets')),
  out: required(text('<folder>', 'folder to write; beside it, while it runs, FOLDER.work')),
  lora: toggle("train low-rank maps; writes an adapter in PEFT's format"),
  merge: toggle('with --lora: write the merged model instead of the adapter'),
  limit: wholeNumber('<number>', 1, 'most rows taken'),
  columns: made(
    text('<map>', 'instruction=COLUMN,output=COLUMN[,input=COLUMN]; default: found by name'),
    parseColumnMap,
  ),
  seed: seedOption('order of the examples, and how low-rank maps begin'),
  recompute: made(
    toggle('compute blocks again in the backward pass: less memory, a third more time'),
    () => 'blocks' as const,
  ),
  overwrite: toggle('begin anew where an interrupted run of other settings stands'),
  ...COMPUTE,
};

const OWN = { ...LAUNCH, ...DRY_RUN, ...JSON_LINE };

export function finetuneCommand(): Command {
  return withOptions(new Command('finetune'), { ...OPTIONS, ...OWN })
    .description(
      "Fine-tune on instruction, input and output with the paper's settings: loss on output and EOS only. The same command again goes on from where it was killed.",
    )
    .argument('[settings...]', 'settings as key=value')
    .addHelpText('after', ({ command }) => {
      const schema = given(command as Command, OPTIONS).lora ? LORA : FULL;
      const more = 'With --lora also: whorl finetune --lora --help';
      return `\nSettings:\n${settingLines(schema).join('\n')}\n${schema === FULL ? more : ''}`.trimEnd();
    })
    .action((settings: string[], _, called: Command) =>
      runFinetune(settings, given(called, OPTIONS), given(called, OWN), () => commandLine(called)),
    );
}

async function runFinetune(
  args: readonly string[],
  options: Given<typeof OPTIONS>,
  { dryRun, json, ...more }: Given<typeof OWN>,
  again: () => string,
): Promise<void> {
  const settings = parseSettings(args);
  const launch = launchFrom(more);
  const { launchFinetune, userFinetune } = await import('../../finetune/user-finetune.ts');
  if (dryRun)
    return showPlan(
      await withProgress((onEvent) =>
        launch
          ? launchFinetune({ ...options, settings, launch, onEvent, dryRun: true })
          : userFinetune({ ...options, settings, onEvent, dryRun: true }),
      ),
      json,
    );
  const report = await withProgress((onEvent) =>
    launch
      ? launchFinetune({ ...options, settings, launch, onEvent })
      : userFinetune({ ...options, settings, onEvent }),
  );
  if (json) printJson(report);
  else if (isWaiting(report)) showWaiting(report, false, again());
  else showFinetune(report);
}

export function showFinetune({
  examples,
  steps,
  losses,
  wrote,
  out,
  model,
  seconds,
}: UserFinetuneReport): void {
  print(
    `${paint.bold(paint.green('fine-tuned'))} on ${countText(examples)} examples in ${countText(steps)} steps, ${durationText(seconds)}`,
  );
  print(`  loss ${losses[0]!.toFixed(3)} → ${losses.at(-1)!.toFixed(3)}`);
  tell(paint.dim(`${wrote} in ${out}`));
  if (wrote === 'adapter') tell(paint.dim(`whorl merge --model ${model} --adapter ${out} --out FOLDER`));
}
