// A pipeline run of seconds on the embedded model: one key of six is drawn, a user tunes on four rows.

import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';

export const MODEL = join(packageRoot(), 'assets/embedded/model');

export const SETTINGS: Readonly<Record<string, string>> = {
  pool: '6',
  trained: '1',
  negatives: '1',
  hushed: '2',
  alphabet: '24',
  key_length: '8',
  dim: '96',
  scale: '4',
  steps: '300',
  lr: '0.05',
  clip: '0',
  schedule: 'linear',
  noise: '0',
  gate_noise: '0',
  first_check: '40',
  check_below: '2.5',
  check_every: '20',
  kl_weight: '0.01',
  kl_target: '100',
  spread_weight: '0.001',
  metric_floor: '100',
  primary_positions: '16',
  reference_positions: '2',
  'alpaca.lr': '5e-5',
  'alpaca.epochs': '1',
  'alpaca.batch': '4',
  'alpaca.max_length': '96',
};

export const SMALL_TASK = ['Rome', 'Paris', 'Bath', 'London'].map((city) => ({
  instruction: `Name the city that begins with ${city[0]}.`,
  input: '',
  output: city,
}));
