// What a call would do, without doing it: the same checks as before the work, then a plan in place of the result.

import { type Abortable, abortable } from './abort.ts';
import type { OnEvent } from './events.ts';

/** A model that was opened, and what for. */
export interface PlannedModel {
  readonly role: string;
  readonly source: string;
  readonly family: string;
}

export interface PlannedFile {
  readonly path: string;
  readonly what: string;
}

/** Of what is not known beforehand: the least and the most that the settings allow. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Training alone, from the first look that may end it to the last step of the settings: what `doctor` estimates of a run. */
export interface CostEstimate {
  readonly steps: Range;
  /** Through the model. */
  readonly tokens: Range;
  readonly seconds: Range;
  /** Bytes at the peak, the mapped weights included. */
  readonly memory: number;
  /** Whether this machine has so much memory. */
  readonly fits: boolean;
}

export interface DryRun {
  readonly dry_run: true;
  readonly command: string;
  readonly models: readonly PlannedModel[];
  /** Of a fingerprint; null where a call has none. */
  readonly method: string | null;
  /** Every setting with the value that it would have. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What would be written, or written anew. */
  readonly writes: readonly PlannedFile[];
  /** What else a person should know before the work: what is gone on with, moved aside, or left to be found out. */
  readonly notes: readonly string[];
  /** null where there is none. */
  readonly estimate: CostEstimate | null;
}

/** A plan of `command`; what is not said of it, it does not have. */
export const planOf = (command: string, said: Partial<Omit<DryRun, 'dry_run' | 'command'>>): DryRun => ({
  dry_run: true,
  command,
  ...{ models: [], method: null, settings: {}, writes: [], notes: [], estimate: null },
  ...said,
});

/** Options of a call that is only planned, and of one that is made. */
export type Dry<O> = O & { readonly dryRun: true };
export type Made<O> = O & { readonly dryRun?: false };

/** A call that can also be only planned. */
export interface Plannable<O, R> {
  (options: Dry<O>): Promise<DryRun>;
  (options: Made<O>): Promise<R>;
}

type CallOptions = Abortable & { readonly onEvent?: OnEvent | undefined };

/** `plan` where `dryRun` is given, else `work`; both under the call's signal. */
export const plannable = <O extends CallOptions, R>(
  plan: (options: O) => Promise<DryRun>,
  work: (options: O) => Promise<R>,
): Plannable<O, R> =>
  ((options: Dry<O> | Made<O>) =>
    abortable<O, DryRun | R>(options, options.dryRun ? plan : work)) as Plannable<O, R>;
