// T7, drawn direction: no key is asked and no answer counted. The stamp is read from weights (verify/stamp.ts), and the
// verdict is made of its e-value (verify/channels.ts); answers alone say nothing of such a claim.

import { SALT_BYTES } from '../../claim/merkle.ts';
import { ASSUMPTIONS, type ExactTest } from './exact-test.ts';
import { CERTAIN } from './ratio.ts';

export const T7_NAME = 'T7, a drawn normal direction in weights (exact)';
export const T7_NULL =
  'The suspect’s weights are independent of the drawn direction, given all that was committed: then z is standard normal for any model, however it was made.';

export const T7: ExactTest<'drawn-direction'> = {
  name: T7_NAME,
  nullHypothesis: T7_NULL,
  assumptions: ASSUMPTIONS.filter((words) => !words.startsWith('A4')),
  // There are no more directions than seeds.
  reachable: () => ({ numerator: 1n, denominator: 2n ** BigInt(8 * SALT_BYTES) }),
  counter: () => () => ({ hits: 0 }),
  tail: () => CERTAIN,
  cells: () => ({}),
  fired: () => ({ hits: 0, of: 0 }),
};
