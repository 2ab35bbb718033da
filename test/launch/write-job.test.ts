// What a job says of a training where torch's program must not find out by itself.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planJob } from '../../src/launch/write-job.ts';
import { openModel } from '../../src/models/open-model.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
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
