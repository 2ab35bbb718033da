// `stamp`: a secret normal direction added to matrices of the body. Nothing is trained and no key is made: the draw alone
// decides the direction, and whoever has a suspect's weights can be shown it there.

import type { ClaimPlan } from '../../claim/plan.ts';
import { STAMP, type StampSettings } from '../settings.ts';
import { checkPart, stampPlan } from '../stamp-plan.ts';
import type { StampMethod } from './method.ts';

export const stampMethod: StampMethod<StampSettings> = {
  kind: 'stamp',
  name: 'stamp',
  summary: 'a secret direction in weights, read from weights; nothing is trained and nothing answers',
  maxHarm: 0.01,
  ratesByRows: false,
  schema: STAMP,
  narrow: () => ({ settings: {}, harm: 0.001 }),
  check: ({ part }, model) => checkPart(part, model),
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
