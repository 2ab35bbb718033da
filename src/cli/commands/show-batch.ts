// `whorl show-batch`: examples as they are trained, coloured by kind. It prints secret keys and says so.

import { Command } from 'commander';
import type { ShownBatch, ShownExample, ShownLabel, ShownToken } from '../../fingerprint/show-batch.ts';
import { parseSettings } from '../arguments.ts';
import { COMPUTE } from '../model-flags.ts';
import { byDefault, type Given, given, text, toggle, wholeNumber, withOptions } from '../options.ts';
import { paint, print, printJson, shownText, table, tell } from '../output.ts';
import { UNLOCK, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

const OPTIONS = {
  model: text('<model>', 'a Hugging Face folder or a GGUF file (of a run: its own)'),
  run: text('<folder>', 'a private run folder, whose secret keys are shown'),
  method: text('<name>', 'rows, adapter, sft, emb or lora (default: rows)'),
  seed: text('<text>', 'the throw-away seed (default: show-batch)'),
  step: byDefault(wholeNumber('<number>', 0, 'which step, from 0'), 0),
  ...COMPUTE,
};
const OWN = {
  limit: byDefault(wholeNumber('<number>', 1, 'most examples printed'), 8),
  ...UNLOCK,
  json: toggle('one JSON line an example on stdout and nothing else'),
};

export function showBatchCommand(): Command {
  return withOptions(new Command('show-batch'), { ...OPTIONS, ...OWN })
    .description(
      'The batch of one training step: tokens, labels with their kind and weight, cached prefix. It shows keys: those of a throw-away seed, or with --run those of your own run.',
    )
    .argument('[settings...]', "the method's settings as key=value")
    .action((settings: string[], _, called: Command) =>
      runShowBatch(settings, given(called, OPTIONS), given(called, OWN)),
    );
}

async function runShowBatch(
  args: readonly string[],
  options: Given<typeof OPTIONS>,
  own: Given<typeof OWN>,
): Promise<void> {
  const settings = parseSettings(args);
  const { run, step } = options;
  const unlock = run === undefined ? undefined : await unlockFor(`${run}/secret.whorl`, own);
  const { showBatch } = await import('../../fingerprint/show-batch.ts');
  const batch = await withProgress((onEvent) =>
    showBatch({ ...options, settings, onEvent, ...(unlock && { unlock }) }),
  );
  tell(WARNING[batch.source]);
  const examples = batch.examples.slice(0, own.limit);
  for (const [index, example] of examples.entries())
    if (own.json) printJson({ method: batch.method, step, source: batch.source, index, ...example });
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

function show({ variant, prefix, read, tokens, labels }: ShownExample, index: number): void {
  print(paint.bold(`example ${index + 1}`) + paint.dim(variant ? `  sees ${seen(variant)}` : ''));
  if (prefix)
    print(paint.dim(`  prefix, ${prefix.tokens} tokens from the cache: ${shownText(prefix.text, 200)}`));
  const cells = ({ id, text, trained }: ShownToken, row: number): string[] => [
    paint.dim(String(row)),
    paint.dim(String(id)),
    trained ? paint.magenta(shownText(text, 24)) : shownText(text, 24),
    trained ? paint.magenta('trained') : '',
  ];
  if (read) {
    print(paint.dim('  its encoder reads'));
    for (const line of table(read.map(cells))) print(line);
    print(paint.dim('  and its decoder says'));
  }
  const rows = tokens.map((token, row) => [
    ...cells(token, row),
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
