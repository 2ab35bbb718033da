// A user's fine-tuning against transformers' Trainer on the same rows (goldens/finetune/make.py): tokens, labels, rates and
// losses of every step, by the paper's settings and by others.

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
    const table = readTensor(openCheckpoint(out).tensors.get('model.embed_tokens.weight')!).data;
    const norm = Math.sqrt(table.reduce((sum, x) => sum + x * x, 0));
    expect(Math.abs(norm / run.embedding_norm - 1)).toBeLessThan(1e-3); // written in bfloat16
  }, 60_000);
});

test('the defaults are what the paper gives its users', () => {
  const { epochs, lr, batch, schedule, warmup_ratio, weight_decay, clip, max_length, template } =
    tuningSettings({}, false);
  expect({ epochs, lr, batch, schedule, warmup_ratio, weight_decay, clip, max_length, template }).toEqual({
    ...{ epochs: 3, lr: 2e-6, batch: 80, schedule: 'cosine', warmup_ratio: 0.03, weight_decay: 0, clip: 1 },
    ...{ max_length: 512, template: 'alpaca' },
  });
});
