// Settings that every training has, whoever trains: fingerprints and a user's fine-tuning give each its own default.

import { above, choice, number, text, whole } from '../base/setting.ts';
import type { Recompute } from '../engine/recompute.ts';
import { SCHEDULES, type ScheduleName } from './schedule.ts';

const MILLION = 1_000_000;

const RECOMPUTE: readonly Recompute[] = ['nothing', 'elementwise', 'blocks'];

export const TRAINING = {
  epochs: whole(1, 100_000, 'most passes over the training data'),
  lr: above(0, 1000, 'learning rate'),
  schedule: choice(Object.keys(SCHEDULES) as ScheduleName[], 'shape of the learning rate over the steps'),
  batch: whole(1, 100_000, 'examples of a step'),
  warmup_ratio: number(0, 1, 'share of the steps over which the rate rises'),
  weight_decay: number(0, 1000, 'AdamW’s weight decay'),
  clip: number(0, MILLION, 'largest norm of the gradient; 0: any'),
  batch_tokens: whole(
    2,
    100 * MILLION,
    'most tokens in one run of the engine. Smaller saves memory; the result is the same up to rounding',
    'tokens',
  ),
  max_length: whole(2, MILLION, 'tokens after which an example is cut', 'tokens'),
  recompute: choice(RECOMPUTE, 'what is computed again in the backward pass to save memory'),
  modules: text(
    'linear layers that get a low-rank map, commas between. `auto`: those that PEFT takes for the family; `body`: all of the blocks; `embedding`: the input embedding',
  ),
  rank: whole(1, 65_536, 'rank of the low-rank maps'),
  lora_alpha: above(0, MILLION, 'scale of the low-rank maps, as in PEFT'),
};
