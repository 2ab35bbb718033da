// What a tied head's changed rows cost ordinary text, against transformers' logits before and after (goldens/head): the
// report's KL, the one that training sees, and scores under an overlay; heads that are scaled, capped, or have a bias.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { harmOf } from '../../src/fingerprint/harm.ts';
import {
  expectation,
  keptOut,
  type Positions,
  shiftAt,
  statesAt,
  statesOf,
  withRows,
} from '../../src/fingerprint/reference-positions.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Model } from '../../src/models/model.ts';
import { PUBLISHED } from '../../src/models/overlay.ts';
import { readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { RowsTrainer } from '../../src/train/rows.ts';
import { goldenOf, openGolden } from '../models/golden-models.ts';

interface Moved {
  readonly ids: readonly number[];
  readonly shift: readonly (readonly number[])[];
  readonly probability: readonly (readonly number[])[];
  readonly kl: readonly number[];
  readonly partition: readonly number[];
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../../goldens/head/golden.json', import.meta.url), 'utf8'),
) as { readonly models: Readonly<Record<string, Moved>> };

interface Case {
  readonly model: Model;
  readonly prompts: number[][];
  readonly ids: Int32Array;
  readonly vanilla: Float32Array;
  readonly shift: Float32Array;
  readonly positions: Positions;
}

/** The prompts' positions in the golden's order: each prompt is a language of its own. */
async function caseOf(name: string): Promise<Case> {
  const model = openGolden(name);
  const { input_ids: prompts } = goldenOf<{ input_ids: number[][] }>(name);
  const { ids: list, shift } = GOLDEN.models[name]!;
  const ids = Int32Array.from(list);
  const vanilla = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const pieces = prompts.map((tokens, language) => ({ tokens, language, kept: false }));
  const { arrays } = await statesOf(model, pieces, cpu);
  const languages = prompts.map((_, i) => `text ${i}`);
  const positions = await withRows(model, statesAt(languages, arrays), { ids, rows: vanilla }, cpu);
  return { model, prompts, ids, vanilla, shift: Float32Array.from(shift.flat()), positions };
}

const closeTo = (got: ArrayLike<number>, wanted: readonly number[], digits: number): void => {
  expect(got.length).toBe(wanted.length);
  wanted.forEach((value, i) => expect(got[i]).toBeCloseTo(value, digits));
};

describe.each(Object.keys(GOLDEN.models))('%s', (name) => {
  const golden = GOLDEN.models[name]!;

  test('probabilities, KL and growth at every position; harm by text', async () => {
    const { model, prompts, positions, shift } = await caseOf(name);
    closeTo(positions.probability, golden.probability.flat(), 5);
    const { kl, partition } = shiftAt(model.decoder, positions, shift);
    closeTo(kl, golden.kl, 4);
    closeTo(partition, golden.partition, 4);
    let at = 0;
    harmOf(model, positions, shift).forEach((harm, i) => {
      const own = golden.kl.slice(at, (at += prompts[i]!.length));
      expect(harm.mean).toBeCloseTo(own.reduce((a, b) => a + b, 0) / own.length, 4);
      expect(harm.largest).toBeCloseTo(Math.max(...own), 4);
    });
  });

  test('the same of some positions and some rows, in another order', async () => {
    const { model, positions, ids, vanilla, shift } = await caseOf(name);
    const E = model.decoder.config.hidden_size;
    const turned = Int32Array.from([...ids].reverse());
    const turnedRows = (rows: Float32Array): Float32Array =>
      Float32Array.from([...ids.keys()].reverse().flatMap((r) => [...rows.subarray(r * E, (r + 1) * E)]));
    const rows = turnedRows(shift);
    const weight = positions.weight.map((w, n) => (n % 2 === 0 ? 0 : w));
    const seen = await withRows(
      model,
      { ...positions, weight },
      { ids: turned, rows: turnedRows(vanilla) },
      cpu,
    );
    const some = keptOut(seen);
    closeTo(
      shiftAt(model.decoder, some, rows).kl,
      golden.kl.filter((_, n) => n % 2 === 0),
      4,
    );
  });

  test('how much the text that expects a token most expects it', async () => {
    const { model, prompts, positions, ids, vanilla } = await caseOf(name);
    const wanted = golden.ids.map((_, r) => {
      let at = 0;
      const means = prompts.map(({ length }) => {
        const own = golden.probability.slice(at, (at += length));
        return own.reduce((sum, row) => sum + row[r]!, 0) / length;
      });
      return Math.max(...means);
    });
    closeTo(await expectation(model, positions, { ids, rows: vanilla }, cpu), wanted, 5);
  });

  test('the KL that training sees', async () => {
    const { model, prompts, ids, vanilla, shift, positions } = await caseOf(name);
    const trainer = await RowsTrainer.compile(model, {
      overlay: { ids, rows: vanilla },
      vanilla,
      reference: positions,
      settings: ADAMW,
      device: cpu,
    });
    const start = trainer.start();
    start.slots.get('own')!.value.set(shift);
    const label = { row: 0, token: ids[0]!, kind: 'fire', weight: 1 } as const;
    const batch = [{ tokens: prompts[0]!, variant: PUBLISHED, labels: [label] }];
    const weights = { focus: 0, kl: 1, margin: 0, spread: 0 };
    const { kl } = await trainer.step(start, batch, 1e-3, weights, new Float32Array(shift.length));
    const wanted = golden.kl.reduce((sum, value, n) => sum + value * positions.weight[n]!, 0);
    expect(kl).toBeCloseTo(wanted, 4);
    await trainer.release();
  });

  test('scores of moved tokens and of others under the overlay', async () => {
    const { model, prompts, ids, vanilla, shift, positions } = await caseOf(name);
    const encoder = new Encoder(model, { ids, rows: vanilla.map((x, i) => x + shift[i]!) }, cpu);
    const tokens = prompts[0]!;
    const wanted = tokens.flatMap((_, n) => [n, n]);
    const labels = tokens.flatMap(() => [tokens[0]!, ids[1]!]);
    const before = new Encoder(model, undefined, cpu);
    const [[own], [vanillas]] = [
      await encoder.labels([{ tokens, wanted, labels, variant: PUBLISHED }]),
      await before.labels([{ tokens, wanted, labels }]),
    ];
    tokens.forEach((_, n) => {
      // An ordinary token loses what the sum grows by.
      expect(own!.logprobs[2 * n]).toBeCloseTo(vanillas!.logprobs[2 * n]! - golden.partition[n]!, 4);
      expect(Math.exp(vanillas!.logprobs[2 * n + 1]!)).toBeCloseTo(golden.probability[n]![1]!, 5);
    });
    expect(positions.count).toBe(golden.kl.length);
    await encoder.release();
    await before.release();
  });
});
