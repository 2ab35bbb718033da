// A hundred steps against torch with warm-up, decay, weight decay, clipping and accumulation; schedules against
// transformers; low-rank maps against peft (goldens/train/make_long.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Example } from '../../src/models/example.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { splitByCount } from '../../src/train/micro-batches.ts';
import { ADAMW, type Decay } from '../../src/train/optimiser.ts';
import { SCHEDULES, type ScheduleName } from '../../src/train/schedule.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { goldens, load } from './tiny.ts';

const read = <T>(name: string): T => JSON.parse(readFileSync(join(goldens, 'train', name), 'utf8')) as T;

interface Row {
  ids: number[];
  labels: [number, number][];
}
function examples(rows: readonly Row[]): Example[] {
  const count = rows.flatMap((row) => row.labels).length;
  return rows.map(({ ids, labels }) => ({
    tokens: ids,
    variant: VANILLA,
    labels: labels.map(([row, token]) => ({ row, token, kind: 'fire', weight: 1 / count })),
  }));
}

const long = read<{
  lr: number;
  weight_decay: number;
  clip: number;
  steps: number;
  warmup: number;
  sequences: Row[];
  order: number[][];
  runs: Record<string, { schedule: ScheduleName; decay: Decay; losses: number[]; grad_norms: number[] }>;
}>('long.json');

test.each(Object.keys(long.runs))('a hundred steps follow torch: %s', async (name) => {
  const { schedule, decay, losses, grad_norms } = long.runs[name]!;
  const trainer = await Trainer.compile(load(name), {
    settings: { ...ADAMW, weight_decay: long.weight_decay, decay, clip: long.clip },
    recompute: 'blocks',
    split: (batch) => splitByCount(batch, 2),
  });
  let state = trainer.start();
  let [worst, worstNorm] = [0, 0];
  for (let step = 0; step < long.steps; step++) {
    const rate = long.lr * SCHEDULES[schedule](step, long.steps, long.warmup);
    const batch = examples(long.order[step]!.map((i) => long.sequences[i]!));
    const result = await trainer.step(state, batch, rate);
    state = result.state;
    worst = Math.max(worst, Math.abs(result.loss / losses[step]! - 1));
    worstNorm = Math.max(worstNorm, Math.abs(result.norm / grad_norms[step]! - 1));
  }
  await trainer.release();
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 5); // a curve, not a flat line
  expect(worst).toBeLessThan(1e-3);
  expect(worstNorm).toBeLessThan(1e-2);
});

interface Multipliers {
  schedule: ScheduleName;
  total: number;
  warmup: number;
  factors: number[];
}
test('schedules are those of transformers', () => {
  for (const { schedule, total, warmup, factors } of read<{ table: Multipliers[] }>('schedules.json').table)
    factors.forEach((factor, step) => {
      expect(SCHEDULES[schedule](step, total, warmup), `${schedule} ${step}/${total}`).toBeCloseTo(
        factor,
        12,
      );
    });
});

const lora = read<{
  sequences: Row[];
  models: Record<string, { rank: number; alpha: number; targets: string[] | 'all-linear'; loss: number }>;
}>('lora.json');

test.each(Object.keys(lora.models))('gradients of low-rank maps are those of peft: %s', async (name) => {
  const { rank, alpha, targets, loss } = lora.models[name]!;
  const { tensors } = readSafetensorsHeader(join(goldens, 'train', 'lora.safetensors'));
  const golden = (key: string) => readTensor(tensors.get(`${name}/${key}`)!).data;
  const trainer = await Trainer.compile(load(name), {
    settings: ADAMW,
    trains: {
      kind: 'low-rank',
      names: targets === 'all-linear' ? ['*_proj.weight'] : targets.map((target) => `*.${target}.weight`),
      rank,
      alpha,
    },
  });
  const state = trainer.start();
  expect(state.slots.size).toBe(2 * trainer.trained.changed.size);
  for (const [key, { value }] of state.slots) value.set(golden(key));
  const out = await trainer.gradients(state, examples(lora.sequences));
  expect(Math.abs(out.loss / loss - 1)).toBeLessThan(1e-5);
  for (const [key, gradient] of out.gradients) {
    const expected = golden(`grad.${key}`);
    const scale = Math.max(...expected.map(Math.abs));
    const worst = gradient.reduce((most, g, i) => Math.max(most, Math.abs(g - expected[i]!)), 0);
    expect(worst / scale, key).toBeLessThan(1e-4);
  }
  await trainer.release();
});
