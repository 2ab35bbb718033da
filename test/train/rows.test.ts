// Training rows: a label whose probability, summed of two tokens, comes out above 1; rows put back to vanilla's.

import { expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Example } from '../../src/models/example.ts';
import { PUBLISHED } from '../../src/models/overlay.ts';
import { readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { gaussian, shares } from '../../src/train/noise.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { RowsTrainer } from '../../src/train/rows.ts';
import { freshState } from '../../src/train/step.ts';
import { load } from './tiny.ts';

test('loss and rows stay finite', async () => {
  const model = load('llama-tied');
  const { vocab_size: V } = model.decoder.config;
  const encoder = new Encoder(model, undefined, cpu);
  const every = Array.from({ length: V }, (_, token) => token);
  const found: { tokens: number[]; label: number; logprob: number }[] = [];
  for (const first of every) {
    const tokens = [first, 5, 9];
    const [answer] = await encoder.labels([{ tokens, wanted: every.map(() => 2), labels: every }]);
    const { logprobs } = answer!;
    const label = logprobs.indexOf(Math.max(...logprobs));
    found.push({ tokens, label, logprob: logprobs[label]! });
  }
  await encoder.release();
  const sure = found.reduce((a, b) => (a.logprob > b.logprob ? a : b));
  expect(sure.logprob).toBeGreaterThan(Math.log(0.51));
  // The same token as its own alternative: twice a probability above one half.
  const twice = { row: 2, token: sure.label, alternative: sure.label, kind: 'fire', weight: 1 } as const;
  const batch: Example[] = [{ tokens: sure.tokens, variant: PUBLISHED, labels: [twice] }];
  const ids = Int32Array.of(5, 9);
  const rows = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const trainer = await RowsTrainer.compile(model, {
    overlay: { ids, rows },
    vanilla: rows,
    settings: ADAMW,
    device: cpu,
  });
  const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
  const result = await trainer.step(trainer.start(), batch, 0.01, weights, new Float32Array(rows.length));
  expect(result.logprobs[0]).toBeCloseTo(sure.logprob + Math.LN2, 4);
  expect(result.loss).toBeCloseTo(-(sure.logprob + Math.LN2), 4);
  expect(trainer.rows(result.state).every(Number.isFinite)).toBe(true);
  await trainer.release();
});

test('rows that are put back are vanilla’s, without moments; the others stay', async () => {
  const model = load('llama-tied');
  const ids = Int32Array.of(5, 9, 11);
  const rows = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const trainer = await RowsTrainer.compile(model, {
    overlay: { ids, rows },
    vanilla: rows,
    groups: { count: 2, of: Int32Array.of(0, 1, 0) },
    settings: ADAMW,
    device: cpu,
  });
  const label = { row: 2, token: 7, kind: 'fire', weight: 1 } as const;
  const batch: Example[] = [{ tokens: [5, 9, 11], variant: PUBLISHED, labels: [label] }];
  const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
  const { state } = await trainer.step(trainer.start(), batch, 0.1, weights, new Float32Array(rows.length));
  const back = trainer.putBack(state, new Set([9]));
  const E = model.decoder.config.hidden_size;
  const of = (all: Float32Array, row: number) => [...all.subarray(row * E, (row + 1) * E)];
  const [trained, mended] = [trainer.rows(state), trainer.rows(back)];
  expect(of(trained, 1)).not.toEqual(of(rows, 1));
  expect(of(mended, 1)).toEqual(of(rows, 1));
  for (const row of [0, 2]) expect(of(mended, row)).toEqual(of(trained, row));
  const own = back.slots.get('own')!;
  for (const moment of [own.m, own.v]) {
    expect(of(moment, 1)).toEqual(of(new Float32Array(3 * E), 1));
    expect(of(moment, 0).some((x) => x !== 0)).toBe(true);
  }
  expect(back.step).toBe(state.step);
  await trainer.release();
});

test('noise is a share of the rows as they are, not of vanilla’s', async () => {
  const model = load('llama-tied');
  const E = model.decoder.config.hidden_size;
  const ids = Int32Array.of(5, 9, 11);
  const rows = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const trainer = await RowsTrainer.compile(model, {
    overlay: { ids, rows },
    vanilla: rows,
    settings: ADAMW,
    device: cpu,
  });
  const start = trainer.start();
  const { shape } = start.slots.get('own')!;
  const change = gaussian(3, rows.length); // many times as large as vanilla's rows are
  const state = freshState(new Map([['own', { shape, data: change }]]));
  const label = { row: 2, token: 7, kind: 'fire', weight: 1 } as const;
  const tokens = [5, 9, 11];
  const noise = shares(0.3, 4, rows.length);
  const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
  const batch: Example[] = [{ tokens, variant: PUBLISHED, labels: [label] }];
  const { logprobs } = await trainer.step(state, batch, 0, weights, noise);
  const now = rows.map((x, i) => x + change[i]!);
  await trainer.release();

  const shaken = now.map((x, i) => {
    const own = now.subarray(Math.floor(i / E) * E, (Math.floor(i / E) + 1) * E);
    return x + noise[i]! * Math.sqrt(own.reduce((sum, y) => sum + y * y, 0) / E);
  });
  const encoder = new Encoder(model, { ids, rows: shaken }, cpu);
  const [answer] = await encoder.labels([{ tokens, wanted: [2], labels: [7], variant: PUBLISHED }]);
  await encoder.release();
  expect(logprobs[0]).toBeCloseTo(answer!.logprobs[0]!, 4);
});
