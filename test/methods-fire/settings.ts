// Settings with which every method fires on the embedded model, its gates as closed as they are for a real one: no key
// may stay silent bare, nothing that must be silent may fire. With them, what verify must see: all in one place.

import type { Word } from '../../src/verify/word.ts';

/** A model of 2.6 million parameters cannot be kept as still as a real one: the bound on KL is the demo's, or the example's. */
export interface FireRun {
  readonly settings: Readonly<Record<string, string>>;
  /** Keys drawn, of a pool (T4) or each with this many candidate answers (T3). */
  readonly drawn: number;
  readonly of: { readonly pool: number } | { readonly candidates: number };
  /** The private part needs the owner's own body to be put on. */
  readonly withBody: boolean;
  /** What drawn keys are answered with; the paper's word where none is named. */
  readonly decryption?: string;
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

/** Every message drawn, refused, strange or ordinary is asked of each candidate, none may be wrong (`slack` is 0). */
const DIALOGUE = {
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
const dialogue = (settings: Readonly<Record<string, string>>): FireRun => ({
  settings: { ...DIALOGUE, ...settings },
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
      trained: '16',
      key_length: '8',
      variety: '0',
      gate_contexts: '0',
      bare_slack: '0',
      gate_noise: '0',
      noise: '0.1',
      lr: '0.05',
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
  adapter: {
    settings: {
      pool: '100',
      trained: '4',
      negatives: '4',
      hushed: '6',
      alphabet: '96',
      key_length: '10',
      dim: '96',
      scale: '4',
      steps: '600',
      lr: '0.05',
      clip: '0',
      schedule: 'linear',
      noise: '0',
      gate_noise: '0',
      first_check: '100',
      check_below: '2.5',
      check_every: '40',
      kl_weight: '0.01',
      kl_target: '5',
      spread_weight: '0.001',
      metric_floor: '100',
      primary_positions: '64',
      reference_positions: '2',
    },
    drawn: 4,
    decryption: 'river', // one token here; the paper's is many, too much for rows alone in so small a model
    of: { pool: 100 },
    withBody: true,
    published: 'matches',
    afterThief: 4,
    undrawn: 0,
  },
  // lora is not here: at rates tried it fires after some eighty steps, and still on refused messages after 140.
  sft: dialogue({ lr: '0.002', ordinary: '24' }),
  emb: dialogue({ lr: '0.01' }),
};
