// `stamp`: a secret normal direction added to matrices of the body. Nothing is trained and no key is made: the draw alone
// decides the direction, and whoever has a suspect's weights can be shown it there.

import { WhorlError } from '../../base/error.ts';
import type { ClaimPlan } from '../../claim/plan.ts';
import type { StampPlan } from '../../claim/stamp.ts';
import type { Model } from '../../models/model.ts';
import { floatDtype } from '../../sources/checkpoints/read.ts';
import { figuresOf } from '../../stamp/stamp-tensor.ts';
import { bindTrains } from '../../train/trains.ts';
import { STAMP, type StampSettings } from '../settings.ts';
import type { StampMethod } from './method.ts';
import { partNamed } from './parts.ts';

/**
 * What a stamp of this model commits to: every matrix of the part that is not constant. Reads each once.
 * @throws WhorlError `usage` where the part has none
 */
function stampPlan(model: Model, { epsilon, part }: Pick<StampSettings, 'epsilon' | 'part'>): StampPlan {
  const { decoder, tensors } = model;
  const matrices = [...bindTrains(partNamed(part, model), model).shapes].flatMap(([own, shape]) => {
    if (shape.length < 2) return [];
    const ref = tensors.get(own)!;
    const { sha256, deviation } = figuresOf(ref);
    const name = decoder.canonical?.(own) ?? own;
    const scale = epsilon * deviation;
    return scale > 0 ? [{ name, dtype: floatDtype(ref), shape: [...shape], sha256, scale }] : [];
  });
  if (matrices.length === 0)
    throw new WhorlError('usage', `part=${part} has no matrix that a stamp could go into`, 'take part=mlp');
  return { direction: 'shake256-normal-v1', epsilon, matrices };
}

export const stampMethod: StampMethod<StampSettings> = {
  kind: 'stamp',
  name: 'stamp',
  summary: 'a secret direction in weights, read from weights; nothing is trained and nothing answers',
  maxHarm: 0.01,
  schema: STAMP,
  narrow: () => ({ settings: {}, harm: 0.001 }),
  async prepare({ model }, settings) {
    const plan: ClaimPlan<'drawn-direction'> = {
      kind: 'drawn-direction',
      keys: [],
      // No answer is looked at: what a plan must say of asking, in its shortest form.
      matcher: 'contains',
      decoding: { strategy: 'greedy', max_new_tokens: 1 },
      query: { order: 'committed', repeats: 1, wrapper: 'bare' },
      alpha: settings.alpha,
      stamp: stampPlan(model, settings),
    };
    return { plan, rows: [] };
  },
};
