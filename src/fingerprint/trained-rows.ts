// What comes of training rows, whoever trained: what a look at a state finds, and what a training ends with.

import type { JobEnd } from '../launch/train-by-job.ts';
import type { Judged } from '../train/loop.ts';
import type { CellResult, MeasuredCell } from './cells.ts';

/** What was found of a state, and the rows of it that would be published. */
export interface Look extends Judged {
  readonly rows: Float32Array;
  readonly results: readonly CellResult[];
  readonly measured: readonly MeasuredCell[];
  readonly kl: number;
}

export interface TrainedRows {
  /** As they will be published: rounded to the checkpoint's dtype, [R, E]. */
  readonly rows: Float32Array;
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly gate: readonly CellResult[];
  /** Mean KL at ordinary positions kept out of the loss, the worst primary language's. */
  readonly kl: number;
  /** By what a job was run that trained in our place. */
  readonly launched?: JobEnd<unknown>['ran'];
}
