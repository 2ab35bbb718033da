// What a call would do, without doing it: the same checks as before the work, then a plan in place of the result.

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

/** By a run of the method's default settings, as `doctor` estimates it. */
export interface CostEstimate {
  readonly tokens: number;
  readonly seconds: number;
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

/** Options of a call that is only planned, and of one that is made. */
export type Dry<O> = O & { readonly dryRun: true };
export type Made<O> = O & { readonly dryRun?: false };
