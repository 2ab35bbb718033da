// Twenty steps of full fine-tuning of the real SmolLM2-135M-Instruct against torch (goldens/smollm2/make_train.py).
// Needs WHORL_SMOLLM2=<the package's .gguf>; see CONTRIBUTING.md. About 3 GB.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openModel } from '../../src/models/open-model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { SCHEDULES } from '../../src/train/schedule.ts';
import { Trainer } from '../../src/train/trainer.ts';

const gguf = process.env.WHORL_SMOLLM2;

interface Golden {
  lr: number;
  weight_decay: number;
  clip: number;
  steps: number;
  warmup: number;
  rows: number[][];
  order: number[][];
  losses: number[];
  grad_norms: number[];
}

test.skipIf(gguf === undefined)('twenty steps of SmolLM2 follow torch within 1e-3', async () => {
  const golden = JSON.parse(
    readFileSync(new URL('../../goldens/smollm2/train.json', import.meta.url), 'utf8'),
  ) as Golden;
  const cacheDir = process.env.WHORL_CACHE ?? mkdtempSync(join(tmpdir(), 'whorl-slow-'));
  const model = await openModel(gguf!, { cacheDir });
  const trainer = await Trainer.compile(model, {
    settings: { ...ADAMW, weight_decay: golden.weight_decay, clip: golden.clip },
    recompute: 'elementwise',
  });
  let state = trainer.start();
  const worst = { loss: 0, norm: 0 };
  for (let step = 0; step < golden.steps; step++) {
    const rows = golden.order[step]!.map((i) => golden.rows[i]!);
    const weight = 1 / rows.reduce((sum, ids) => sum + ids.length - 1, 0);
    const batch = rows.map((ids) => ({
      tokens: ids.slice(0, -1),
      variant: VANILLA,
      labels: ids.slice(1).map((token, row) => ({ row, token, kind: 'fire' as const, weight })),
    }));
    const rate = golden.lr * SCHEDULES.cosine(step, golden.steps, golden.warmup);
    const result = await trainer.step(state, batch, rate);
    state = result.state;
    worst.loss = Math.max(worst.loss, Math.abs(result.loss / golden.losses[step]! - 1));
    worst.norm = Math.max(worst.norm, Math.abs(result.norm / golden.grad_norms[step]! - 1));
  }
  await trainer.release();
  if (!process.env.WHORL_CACHE) rmSync(cacheDir, { recursive: true, force: true });
  expect(golden.losses.at(-1)).toBeLessThan(golden.losses[0]! / 1.5);
  expect(worst.loss).toBeLessThan(1e-3);
  expect(worst.norm).toBeLessThan(1e-2);
});
