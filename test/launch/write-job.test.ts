// What a job says of a training where torch's program must not find out by itself.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { silent } from '../../src/base/events.ts';
import { defaultsOf } from '../../src/base/setting.ts';
import type { TrainContext } from '../../src/fingerprint/methods/method.ts';
import { rowsMethod } from '../../src/fingerprint/methods/rows.ts';
import { rowsJob } from '../../src/fingerprint/rows-by-job.ts';
import { ROWS } from '../../src/fingerprint/settings.ts';
import { planJob } from '../../src/launch/write-job.ts';
import { openModel } from '../../src/models/open-model.ts';
import { ratesOf, trainLoop } from '../../src/train/loop.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { RowsChange } from '../../src/train/rows-change.ts';
import type { TrainState } from '../../src/train/step.ts';
import { bindTrains, EVERYTHING } from '../../src/train/trains.ts';
import { goldens } from '../train/tiny.ts';

test('the weight decay of each parameter, which its shape does not tell: Cohere’s norms of heads are matrices', async () => {
  const model = await openModel(join(goldens, 'models/cohere-qk-norm-bias'));
  const { files } = await planJob(
    {
      ...{ model, trains: EVERYTHING, trained: bindTrains(EVERYTHING, model), seed: 0n, settings: {} },
      optimiser: { ...ADAMW, weight_decay: 0.1, decay: 'matrices' },
      ...{ rates: [], batch: () => Promise.resolve([]), keep: [], batch_tokens: 0 },
      ...{ recompute: false, checkpoint_seconds: 0 },
    },
    { engine: 'torchrun' },
  );
  const { optimiser } = JSON.parse(files.get('job.json') as string) as {
    optimiser: { decays: Readonly<Record<string, number>> };
  };
  expect(Object.keys(optimiser.decays).sort()).toEqual([...model.decoder.shapes.keys()].sort());
  // transformers 5.24.0: Trainer.get_decay_parameter_names of this model.
  const block = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`);
  const mlp = ['gate_proj', 'up_proj', 'down_proj'].map((name) => `mlp.${name}`);
  const layers = [0, 1].flatMap((i) => [...block, ...mlp].map((name) => `model.layers.${i}.${name}.weight`));
  const decayed = Object.entries(optimiser.decays).filter(([, decay]) => decay === 0.1);
  expect(decayed.map(([name]) => name).sort()).toEqual(
    ['model.embed_tokens.weight', 'lm_head.weight', ...layers].sort(),
  );
  expect(Object.values(optimiser.decays).filter((decay) => decay === 0)).toHaveLength(31 - decayed.length);
});

test('a job of rows goes on as our own loop does where nothing holds: the same rate for each step, and a state at each end', async () => {
  const model = await openModel(join(goldens, 'models/llama-tied'));
  const settings = { ...defaultsOf(ROWS), steps: 7, first_check: 3, check_every: 2, lr: 0.1, warmup: 2 };
  const change = new RowsChange({
    overlay: { ids: Int32Array.of(5), rows: new Float32Array(model.decoder.config.hidden_size) },
    vanilla: new Float32Array(model.decoder.config.hidden_size),
  });
  const job = (goesOn: boolean) =>
    rowsJob(
      {
        ...{
          method: rowsMethod,
          context: { model } as TrainContext,
          settings,
          change,
          optimiser: ADAMW,
          goesOn,
        },
        weights: { focus: 0, kl: 0, margin: 0, spread: 0 },
        ...{ shaking: { share: () => 0, seed: () => 0 }, isDue: (step: number) => step === 3 },
      },
      undefined,
    );
  const taken: number[] = [];
  const { rates, keep, keep_below } = job(true);
  await trainLoop({
    ...{ name: 'rows', steps: 7, rate: settings, onEvent: silent, stretch: { minutes: 1 } },
    start: () => change.start(),
    batch: () => [],
    step: (state, _, rate) => {
      taken.push(rate);
      return Promise.resolve({ state: { ...state, step: state.step + 1 }, loss: 0 });
    },
    rule: {
      due: () => false,
      measure: ({ step }: TrainState) => Promise.resolve({ held: step === rates.length }),
      failed: () => new WhorlError('not-reached', 'nothing held', 'nothing'),
    },
  });
  expect(rates).toEqual(taken);
  const ends = [7, 14, 28];
  expect(keep).toEqual([3, ...ends]);
  expect(keep_below).toEqual({ loss: settings.check_below, always: ends });
  expect(job(false).rates).toEqual(ratesOf(settings, 7));
});
