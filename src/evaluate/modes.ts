// Which harness is followed: the one of today, or v0.4.0 with which the paper's numbers were made.

import type { ScoringRules } from '../lm/score-tokens.ts';
import { FUNCTIONS } from './functions.ts';
import type { Task } from './task.ts';

export interface Mode {
  readonly name: string;
  /** How rows become tokens: v0.4.0 added no BOS, and put EOS before what has no context. */
  readonly scoring: ScoringRules;
  /** What its tasks had otherwise. */
  readonly tasks: Readonly<Record<string, Partial<Task>>>;
  /** A group's standard error: pooled over its tasks, or the formula of then, which depends on their scores. */
  readonly groupError: 'pooled' | 'combined';
}

export type ModeName = 'main' | 'v0.4.0-seed';

export const MODES: Readonly<Record<ModeName, Mode>> = {
  main: { name: 'main', scoring: { cutsLeft: true }, tasks: {}, groupError: 'pooled' },
  'v0.4.0-seed': {
    name: 'v0.4.0-seed',
    scoring: { cutsLeft: true, specialTokens: false, beginning: 'eos' },
    tasks: {
      record: { ...FUNCTIONS.record_bare, version: 1 },
      wsc: { dataset_path: 'super_glue', dataset_name: 'wsc' },
    },
    groupError: 'combined',
  },
};
