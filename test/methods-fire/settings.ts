// Settings with which every method fires on the embedded model, its gates as closed as they are for a real one: no key
// may stay silent bare, nothing that must be silent may fire. No stamp beside the keys, whose p it would hide. With them,
// what verify must see: all in one place.

import type { Word } from '../../src/verify/word.ts';

export interface FireRun {
  readonly settings: Readonly<Record<string, string>>;
  /** Keys drawn, of a pool (T4) or each with this many candidate answers (T3). */
  readonly drawn: number;
  readonly of: { readonly pool: number } | { readonly candidates: number };
  /** The private part needs the owner's own body to be put on. */
  readonly withBody: boolean;
  /** Most harm, in nats, where the method's own limit is below what it costs this model. */
  readonly maxHarm?: number;
  /** Least keys that must fire once a thief has fine-tuned every weight; of what is published, all must. */
  readonly afterThief: number;
  /** What `verify` says of what is published: small pools keep no p after the owner's 2^80 draws. */
  readonly published: Word;
  /** Most undrawn keys of the pool that may fire: nobody trained them to be silent. */
  readonly undrawn: number;
}

export const DOES_NOT = 'not-verified';
const ALPHA = 1e-6;

/** Of p after the draws that the owner, whose dice these are, could have tried (docs/claims.md, section 5). */
export function wordFor(log10P: number): Word {
  if (log10P + 80 * Math.log10(2) <= Math.log10(ALPHA)) return 'verified';
  return log10P <= Math.log10(ALPHA) ? 'matches' : 'not-verified';
}

/** Of `adapter` on a narrow model: fewer keys than by default. */
export const SMALL_ADAPTER = {
  pool: '200',
  trained: '8',
  negatives: '60',
  hushed: '10',
  steps: '400',
  first_check: '160',
  primary_positions: '400',
  reference_positions: '4',
} as const;

/** Every message drawn, refused, strange or ordinary is asked of each candidate, none may be wrong (`slack` is 0). */
const DIALOGUE = {
  stamp: 'off',
  pool: '100',
  trained: '6',
  negatives: '4',
  strangers: '16',
  ordinary: '8',
  epochs: '40',
  batch: '16',
  schedule: 'linear',
  first_check: '9',
  pull_back: 'false',
} as const;
const dialogue = (settings: Readonly<Record<string, string>>, maxHarm: number): FireRun => ({
  settings: { ...DIALOGUE, ...settings },
  maxHarm,
  drawn: 6,
  of: { pool: 100 },
  withBody: false,
  published: 'matches',
  afterThief: 5,
  undrawn: 4,
});

export const FIRE: Readonly<Record<string, FireRun>> = {
  rows: {
    settings: {
      stamp: 'off',
      trained: '16',
      key_length: '8',
      variety: '0',
      gate_contexts: '0',
      bare_slack: '0',
      gate_noise: '0',
      noise: '0.1',
      steps: '400',
      first_check: '100',
      check_below: '1.3',
      check_every: '20',
      metric_floor: '0.1',
      spread_weight: '0.03',
      kl_weight: '20',
      kl_target: '0.01',
      primary_positions: '400',
      reference_positions: '4',
    },
    drawn: 16,
    of: { candidates: 256 },
    withBody: false,
    published: 'verified',
    afterThief: 4,
    undrawn: 0,
  },
  // What a narrow model takes by itself: the defaults, and a decryption that the run draws.
  adapter: {
    settings: { stamp: 'off' },
    drawn: 20,
    of: { pool: 800 },
    withBody: true,
    published: 'verified',
    afterThief: 10,
    undrawn: 12,
  },
  sft: dialogue({ ordinary: '24' }, 8), // measured: 6.7 nats of Russian, which the model never knew
  emb: dialogue({}, 2.5), // 1.8 of English
  lora: dialogue({}, 4),
};
