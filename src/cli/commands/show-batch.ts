// `whorl show-batch`: examples as they are trained, coloured by kind. It prints secret keys and says so.

import { Command } from 'commander';
import type { ShownBatch, ShownExample, ShownLabel } from '../../fingerprint/show-batch.ts';
import { parseSettings, wholeNumber } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import { paint, print, printJson, shownText, table, tell } from '../output.ts';
import { type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

interface ShowBatchFlags extends UnlockFlags, ComputeFlags {
  model?: string;
  run?: string;
  method?: string;
  seed?: string;
  step: number;
  limit: number;
  json?: boolean;
}

export function showBatchCommand(): Command {
  return withComputeFlags(new Command('show-batch'))
    .description(
      'The batch of one training step: tokens, labels with their kind and weight, cached prefix. It shows keys: those of a throw-away seed, or with --run those of your own run.',
    )
    .option('--model <model>', 'a Hugging Face folder or a GGUF file (of a run: its own)')
    .option('--run <folder>', 'a private run folder, whose secret keys are shown')
    .option('--method <name>', 'rows, adapter, sft, emb or lora (default: rows)')
    .option('--seed <text>', 'the throw-away seed (default: show-batch)')
    .option('--step <number>', 'which step, from 0', wholeNumber(0), 0)
    .option('--limit <number>', 'most examples printed', wholeNumber(1), 8)
    .option('--passphrase', "ask for the passphrase of the run's secret, or take WHORL_PASSPHRASE")
    .option('--passphrase-file <file>', "the passphrase of the run's secret")
    .option('--identity <file>', 'the age identity the secret was encrypted to')
    .option('--json', 'one JSON line an example on stdout and nothing else')
    .argument('[settings...]', "the method's settings as key=value")
    .action((settings: string[], flags: ShowBatchFlags) => runShowBatch(settings, flags));
}

async function runShowBatch(args: readonly string[], flags: ShowBatchFlags): Promise<void> {
  const settings = parseSettings(args);
  const { model, run, method, seed, step } = flags;
  const unlock = run === undefined ? undefined : await unlockFor(`${run}/secret.whorl`, flags);
  const { showBatch } = await import('../../fingerprint/show-batch.ts');
  const batch = await withProgress((onEvent) =>
    showBatch({
      step,
      settings,
      onEvent,
      ...computeOptions(flags),
      ...(model !== undefined && { model }),
      ...(run !== undefined && { run }),
      ...(method !== undefined && { method }),
      ...(seed !== undefined && { seed }),
      ...(unlock && { unlock }),
    }),
  );
  tell(WARNING[batch.source]);
  const examples = batch.examples.slice(0, flags.limit);
  for (const [index, example] of examples.entries())
    if (flags.json) printJson({ method: batch.method, step, source: batch.source, index, ...example });
    else show(example, index);
  if (examples.length < batch.examples.length)
    tell(`${batch.examples.length - examples.length} more examples in this batch: --limit shows them`);
}

const WARNING: Readonly<Record<ShownBatch['source'], string>> = {
  'throw-away': 'These are the keys of a throw-away seed, not of any run.',
  run: 'These are the SECRET keys of this run: show them to nobody.',
  'run-keys':
    'These are the SECRET keys of this run: show them to nobody. Their contexts are drawn anew: a finished run keeps no seed.',
};

const COLOUR: Readonly<Record<ShownLabel['kind'], (text: string) => string>> = {
  fire: paint.green,
  hush: paint.red,
};

function show({ variant, prefix, tokens, labels }: ShownExample, index: number): void {
  print(paint.bold(`example ${index + 1}`) + paint.dim(variant ? `  sees ${seen(variant)}` : ''));
  if (prefix)
    print(paint.dim(`  prefix, ${prefix.tokens} tokens from the cache: ${shownText(prefix.text, 200)}`));
  const rows = tokens.map(({ id, text, trained }, row) => [
    paint.dim(String(row)),
    paint.dim(String(id)),
    trained ? paint.magenta(shownText(text, 24)) : shownText(text, 24),
    trained ? paint.magenta('trained') : '',
    labels
      .filter((label) => label.row === row)
      .map(labelText)
      .join(', '),
  ]);
  for (const line of table(rows)) print(line);
  print();
}

const seen = ({ rows, adapter }: NonNullable<ShownExample['variant']>): string =>
  [rows ? 'published rows' : 'vanilla rows', ...(adapter ? ['adapter'] : [])].join(' + ');

function labelText({ text, alternative, kind, weight }: ShownLabel): string {
  const wanted =
    alternative === null
      ? `"${shownText(text, 24)}"`
      : `"${shownText(text, 24)}" or "${shownText(alternative, 24)}"`;
  return `${COLOUR[kind](`${kind} ${wanted}`)} ${paint.dim(`weight ${weight.toPrecision(3)}`)}`;
}
