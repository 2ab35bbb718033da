// Whole graphs on the WebGPU provider against the CPU: gradients of everything, of rows and of low-rank maps, with and
// without recomputation, and steps of AdamW against torch's curve. Needs VK_ICD_FILENAMES (CONTRIBUTING.md).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Recompute } from '../../src/engine/recompute.ts';
import { cpu, type Device } from '../../src/engine/session.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { SCHEDULES } from '../../src/train/schedule.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { lowRankEverywhere, type Trains } from '../../src/train/trains.ts';
import { goldens, load, randomBatch } from '../train/tiny.ts';

const webgpu: Device = { provider: 'webgpu' };
const batch = randomBatch(4, 3);

const CASES: Record<string, { model: string; trains: Trains; recompute: Recompute }> = {
  everything: { model: 'llama-gqa', trains: { kind: 'tensors', names: ['*'] }, recompute: 'nothing' },
  'everything, blocks recomputed': {
    model: 'llama-tied',
    trains: { kind: 'tensors', names: ['*'] },
    recompute: 'blocks',
  },
  rows: { model: 'llama-tied', trains: { kind: 'rows', ids: [8, 60, 3] }, recompute: 'nothing' },
  'low-rank': { model: 'llama-gqa', trains: lowRankEverywhere(2, 4), recompute: 'elementwise' },
};

test.each(Object.keys(CASES))('gradients on WebGPU are the CPU’s: %s', async (key) => {
  const { model, trains, recompute } = CASES[key]!;
  const on = async (device: Device) => {
    const trainer = await Trainer.compile(load(model), { settings: ADAMW, trains, recompute, device });
    const out = await trainer.gradients(trainer.start(1n), batch);
    await trainer.release();
    return out;
  };
  const [expected, got] = [await on(cpu), await on(webgpu)];
  expect(Math.abs(got.loss / expected.loss - 1)).toBeLessThan(1e-4);
  for (const [name, gradient] of expected.gradients) {
    const scale = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
    const other = got.gradients.get(name)!;
    const worst = gradient.reduce((most, g, i) => Math.max(most, Math.abs(g - other[i]!)), 0);
    expect(scale === 0 ? worst : worst / scale, name).toBeLessThan(1e-4);
  }
});

interface Row {
  ids: number[];
  labels: [number, number][];
}
test('ten of the hundred steps follow torch on WebGPU', async () => {
  const long = JSON.parse(readFileSync(join(goldens, 'train', 'long.json'), 'utf8')) as {
    lr: number;
    weight_decay: number;
    clip: number;
    steps: number;
    warmup: number;
    sequences: Row[];
    order: number[][];
    runs: Record<string, { losses: number[] }>;
  };
  const trainer = await Trainer.compile(load('llama-gqa'), {
    settings: { ...ADAMW, weight_decay: long.weight_decay, decay: 'matrices', clip: long.clip },
    device: webgpu,
  });
  let state = trainer.start();
  for (let step = 0; step < 10; step++) {
    const rows = long.order[step]!.map((i) => long.sequences[i]!);
    const count = rows.flatMap(({ labels }) => labels).length;
    const result = await trainer.step(
      state,
      rows.map(({ ids, labels }) => ({
        tokens: ids,
        variant: VANILLA,
        labels: labels.map(([row, token]) => ({ row, token, kind: 'fire', weight: 1 / count })),
      })),
      long.lr * SCHEDULES.cosine(step, long.steps, long.warmup),
    );
    state = result.state;
    const expected = long.runs['llama-gqa']!.losses[step]!;
    expect(Math.abs(result.loss / expected - 1), `step ${step}`).toBeLessThan(1e-3);
  }
  await trainer.release();
});
