// A user's fine-tuning against transformers' Trainer on the same rows (goldens/finetune/make.py): tokens, labels, rates and
// losses of every step, by the paper's settings and by others, of one batch an epoch and of several in torch's order.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { finetuneSettings, tuningSettings } from '../../src/finetune/settings.ts';
import { instructionExamples, userFinetune } from '../../src/finetune/user-finetune.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { loadTemplate } from '../../src/text/prompts/instruction-templates.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { SCHEDULES } from '../../src/train/schedule.ts';

interface Run {
  epochs: number;
  lr: number;
  schedule: string;
  warmup_ratio: number;
  weight_decay: number;
  clip: number;
  max_length: number;
  losses: number[];
  rates: number[];
  /** Tokens, and how many at the beginning are no labels. */
  examples: [number[], number][];
  embedding_norm: number;
}
const golden = JSON.parse(readFileSync(join(packageRoot(), 'goldens/finetune/golden.json'), 'utf8')) as {
  rows: { instruction: string; input: string; output: string }[];
  runs: Record<string, Run>;
  more: { instruction: string; input: string; output: string }[];
  shuffled: Record<string, Run & { rows: number; batch: number; accumulate: number; seed: number }>;
};

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-user-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const data = join(scratch, 'rows.json');
writeFileSync(data, JSON.stringify(golden.rows));

const settingsOf = ({ epochs, lr, schedule, warmup_ratio, weight_decay, clip, max_length }: Run) =>
  Object.fromEntries(
    Object.entries({ epochs, lr, schedule, warmup_ratio, weight_decay, clip, max_length }).map(
      ([key, value]) => [key, String(value)],
    ),
  );

const normOf = (model: string): number => {
  const table = readTensor(openCheckpoint(model).tensors.get('model.embed_tokens.weight')!).data;
  return Math.sqrt(table.reduce((sum, x) => sum + x * x, 0));
};

describe.each(Object.entries(golden.runs))('%s', (name, run) => {
  test('the same tokens, and the same of them are labels', async () => {
    const examples = await instructionExamples(
      await openTokenizer(MODEL),
      loadTemplate('alpaca'),
      golden.rows,
    );
    const ours = examples.map(({ tokens, labels }) => [
      tokens.slice(0, run.max_length),
      Math.min(labels[0]![0], run.max_length),
    ]);
    expect(ours).toEqual(run.examples);
    expect(
      examples.every(({ tokens, labels }) => labels.length === 1 && labels[0]![1] === tokens.length),
    ).toBe(true);
  });

  test('the same rates', () => {
    const { lr, warmup, schedule } = finetuneSettings(
      tuningSettings(settingsOf(run), false),
      golden.rows.length,
      42n,
    );
    const rates = run.rates.map((_, step) => lr * SCHEDULES[schedule](step, run.epochs, warmup));
    rates.forEach((rate, step) => expect(rate).toBeCloseTo(run.rates[step]!, 12));
  });

  test('the same losses, and the same weights at the end', async () => {
    const out = join(scratch, name);
    const { losses } = await userFinetune({ model: MODEL, data, out, settings: settingsOf(run) });
    expect(losses).toHaveLength(run.losses.length);
    for (const [step, loss] of losses.entries())
      expect(Math.abs(loss / run.losses[step]! - 1), `step ${step}`).toBeLessThan(1e-3);
    expect(Math.abs(normOf(out) / run.embedding_norm - 1)).toBeLessThan(1e-3); // written in bfloat16
  });
});

type ShuffledRun = (typeof golden.shuffled)[string];

async function trainShuffled(name: string, run: ShuffledRun, more: Record<string, string> = {}) {
  const out = join(scratch, [name, ...Object.values(more)].join(' '));
  const rows = `${out}.json`;
  writeFileSync(rows, JSON.stringify(golden.more.slice(0, run.rows)));
  const settings = { ...settingsOf(run), batch: run.batch, accumulate: run.accumulate, ...more };
  const { losses } = await userFinetune({ model: MODEL, data: rows, out, settings, seed: BigInt(run.seed) });
  return { out, losses };
}

describe.each(Object.entries(golden.shuffled))('%s', (name, run) => {
  test('epochs in torch’s order: the same losses of every step, and the same weights at the end', async () => {
    const { out, losses } = await trainShuffled(name, run);
    expect(losses).toHaveLength(run.losses.length);
    for (const [step, loss] of losses.entries())
      expect(Math.abs(loss / run.losses[step]! - 1), `step ${step}`).toBeLessThan(1e-3);
    expect(Math.abs(normOf(out) / run.embedding_norm - 1)).toBeLessThan(1e-3);
  });
});

test('Whorl’s own order has other losses', async () => {
  const [[name, run]] = Object.entries(golden.shuffled) as [[string, ShuffledRun]];
  const { losses } = await trainShuffled(name, run, { shuffle: 'whorl', epochs: '1' });
  expect(losses.some((loss, step) => Math.abs(loss / run.losses[step]! - 1) > 0.02)).toBe(true);
});

test('clip=0 clips nothing, as a limit does that no gradient reaches', async () => {
  const [[name, run]] = Object.entries(golden.shuffled) as [[string, ShuffledRun]];
  const [none, high] = [
    await trainShuffled(name, run, { clip: '0', epochs: '1' }),
    await trainShuffled(name, run, { clip: '1000000', epochs: '1' }),
  ];
  expect(none.losses.length).toBeGreaterThan(1);
  for (const [step, loss] of none.losses.entries())
    expect(Math.abs(loss / high.losses[step]! - 1)).toBeLessThan(1e-6);
  expect(Math.abs(normOf(none.out) / normOf(high.out) - 1)).toBeLessThan(1e-6);
});

test('the defaults are what the paper gives its users', () => {
  const { epochs, lr, batch, schedule, warmup_ratio, weight_decay, clip, max_length, template, shuffle } =
    tuningSettings({}, false);
  expect({
    epochs,
    lr,
    batch,
    schedule,
    warmup_ratio,
    weight_decay,
    clip,
    max_length,
    template,
    shuffle,
  }).toEqual({
    ...{ epochs: 3, lr: 2e-6, batch: 80, schedule: 'cosine', warmup_ratio: 0.03, weight_decay: 0, clip: 1 },
    ...{ max_length: 512, template: 'alpaca', shuffle: 'torch' },
  });
});
