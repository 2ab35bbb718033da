// What is handed over to another machine's engine: a training as Whorl would do it itself, and how it is to be run there.

import { assert } from '../base/error.ts';
import type { Example } from '../models/example.ts';
import type { HeadMap } from '../models/head-map.ts';
import type { Model } from '../models/model.ts';
import type { Shaking } from '../train/noise.ts';
import type { AdamW } from '../train/optimiser.ts';
import type { LossWeights, Reference } from '../train/rows.ts';
import type { RowsChange } from '../train/rows-change.ts';
import type { Trained, Trains } from '../train/trains.ts';

/** Who trains. */
export const ENGINES = ['torchrun'] as const;
type EngineName = (typeof ENGINES)[number];

export const JOB_DTYPES = ['float32', 'bfloat16'] as const;

export interface LaunchOptions {
  readonly engine: EngineName;
  /** Processes of a machine, one a GPU; default 1. */
  readonly nproc?: number;
  /** Machines; default 1. */
  readonly nnodes?: number;
  /** What products are computed in; what trains, its gradient's sum and its moments are float32 in either. Default float32. */
  readonly dtype?: (typeof JOB_DTYPES)[number];
  /** Runs the job on this machine and follows it; default: the job is written, and the call ends. */
  readonly here?: boolean;
  /** The Python that has torch, with `here`; default: `python3`. */
  readonly python?: string;
  /** age recipients: whoever holds an identity of theirs can run the job, and a copy of the folder tells nobody else its examples. */
  readonly encryptTo?: readonly string[];
  /** Keeps the job folder after its result was taken in; default: it is removed. */
  readonly keepJob?: boolean;
}

/** Embedding rows laid over the checkpoint, with all that their loss asks for (train/rows.ts). */
export interface RowsTrains {
  readonly kind: 'overlay';
  readonly change: RowsChange;
  readonly reference?: Reference;
  readonly loss: LossWeights;
  readonly logits: HeadMap;
  readonly noise: Shaking;
}

/** What trains: a part of the checkpoint, or rows laid over it. */
export type JobTrains = Trains | RowsTrains;

/** A training as its steps: all that is random was drawn. */
export interface JobTraining {
  readonly model: Model;
  readonly trains: JobTrains;
  readonly trained: Pick<Trained, 'shapes'> & Partial<Pick<Trained, 'changed' | 'start'>>;
  /** Where low-rank maps begin. */
  readonly seed: bigint;
  readonly optimiser: AdamW;
  /** The learning rate of each step. */
  readonly rates: readonly number[];
  /** Asked once for each step, in order. */
  batch(step: number): Promise<readonly Example[]>;
  /** Steps after which the state is kept for measuring; the last is one. */
  readonly keep: readonly number[];
  /** Mean loss of wanted labels above which a state is not kept, but after the steps `always`; default: all are. */
  readonly keep_below?: { readonly loss: number; readonly always: readonly number[] };
  /** Most tokens, with what pads them, in one forward pass of a rank; 0: a rank's share of the batch at once. */
  readonly batch_tokens: number;
  readonly recompute: boolean;
  readonly checkpoint_seconds: number;
  /** Every setting by name, for people. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A job that was written and has not been done yet. */
export interface WaitingJob {
  readonly kind: 'waiting';
  /** Its folder. */
  readonly job: string;
  /** sha256 of its manifest. */
  readonly id: string;
  /** Steps that are done, as far as the folder tells. */
  readonly done: number;
  readonly steps: number;
  /** Bytes of a kept state, and how many are kept at most. */
  readonly result: { readonly bytes: number; readonly states: number };
}

/** A call whose work may be handed over, made here: it never waits. */
export const byOurselves =
  <O extends { readonly launch?: LaunchOptions | undefined }, R extends object>(
    work: (options: O) => Promise<R | WaitingJob>,
  ) =>
  async (options: Omit<O, 'launch'>): Promise<R> => {
    const report = await work({ ...options, launch: undefined } as O);
    assert(!isWaiting(report), 'a job that nobody asked for');
    return report;
  };

export const isWaiting = (result: object): result is WaitingJob =>
  (result as Partial<WaitingJob>).kind === 'waiting';

/** What a plan says of a job that would be written at `path`. */
export const plannedJob = (path: string) =>
  ({ path, what: 'the job for torch, until its result is taken in' }) as const;
