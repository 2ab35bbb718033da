// Training an encoder-decoder against torch and peft (goldens/train/make_seq2seq.py): losses and weights of six steps, with
// the weight decay of transformers' Trainer, which spares norms and the table of distances.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { VANILLA } from '../../src/models/overlay.ts';
import { ADAMW, decayOf } from '../../src/train/optimiser.ts';
import { freshState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { EVERYTHING, lowRank } from '../../src/train/trains.ts';
import { epochBatches, promptAndAnswer } from '../../src/train/tuning-examples.ts';
import { openGolden } from '../models/golden-models.ts';

interface Run {
  readonly model: string;
  readonly losses: readonly number[];
  readonly decayed: readonly string[];
  readonly after: Readonly<Record<string, readonly number[]>>;
  readonly start?: Readonly<Record<string, readonly number[]>>;
}
const { rate, decay, every, batches, runs } = JSON.parse(
  readFileSync(new URL('../../goldens/train/seq2seq.json', import.meta.url), 'utf8'),
) as {
  readonly rate: number;
  readonly decay: number;
  readonly every: number;
  readonly batches: readonly (readonly { readonly source: number[]; readonly answer: number[] }[])[];
  readonly runs: Readonly<Record<string, Run>>;
};

describe.each(Object.entries(runs))('%s', (_, { model: name, losses, decayed, after, start }) => {
  const model = openGolden(name);
  const settings = { ...ADAMW, weight_decay: decay, decay: 'matrices' as const };
  const trains = start ? lowRank(['q', 'v'], 4, 8) : EVERYTHING;

  test('losses, weights, and what decays', async () => {
    const trainer = await Trainer.compile(model, { settings, trains });
    const shapes = trainer.trained.shapes;
    expect([...shapes.keys()].sort()).toEqual(Object.keys(after).sort());
    expect(
      [...shapes]
        .filter(([tensor, shape]) => decayOf(settings, tensor, shape) > 0)
        .map(([n]) => n)
        .sort(),
    ).toEqual([...decayed].sort());
    let state = start
      ? freshState(
          new Map([...shapes].map(([n, shape]) => [n, { shape, data: Float32Array.from(start[n]!) }])),
        )
      : trainer.start();
    for (const [step, rows] of batches.entries()) {
      const examples = rows.map(({ source, answer }) => promptAndAnswer(source.slice(0, -1), answer));
      const { batch } = await epochBatches(
        { batch: 2, max_length: 64 },
        () => examples,
        model.decoder.encoder,
      );
      const made = await batch(0);
      expect(made.every(({ variant }) => variant === VANILLA)).toBe(true);
      const result = await trainer.step(state, made, rate);
      expect(result.loss / losses[step]!, `loss ${step}`).toBeCloseTo(1, 4);
      state = result.state;
    }
    for (const [tensor, wanted] of Object.entries(after)) {
      const own = state.slots.get(tensor)!.value.filter((_x, i) => i % every === 0);
      const size = Math.sqrt(wanted.reduce((sum, x) => sum + x * x, 0) / wanted.length);
      const off = Math.sqrt(wanted.reduce((sum, x, i) => sum + (x - own[i]!) ** 2, 0) / wanted.length);
      expect(off / size, tensor).toBeLessThan(1e-4);
    }
    await trainer.release();
  });
});
