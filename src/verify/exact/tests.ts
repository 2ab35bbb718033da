// The exact tests by the kind of claim they belong to.

import type { ClaimKind } from '../../claim/plan.ts';
import type { ExactTest } from './exact-test.ts';
import { T3 } from './t3.ts';
import { T4 } from './t4.ts';
import { T7 } from './t7.ts';

export const EXACT_TESTS: { readonly [K in ClaimKind]: ExactTest<K> } = {
  'drawn-answers': T3,
  'drawn-membership': T4,
  'drawn-direction': T7,
};
