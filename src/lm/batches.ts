// Jobs into batches: like sizes together, longest first, shared beginnings side by side, memory bounded.

export interface BatchLimits<T> {
  /** Tokens that the linear layers see in one run. */
  readonly tokens: number;
  /** Label rows of one run: their logits, [L, V] float32 twice over, are what memory goes to. */
  readonly labels?: number;
  readonly sequences?: number;
  /** Jobs of different groups never share a batch. */
  readonly group?: (job: T) => string;
  /** Tokens that a job will have beyond those it brings, and how often it will be repeated. */
  readonly extra?: (job: T) => number;
  readonly copies?: (job: T) => number;
  readonly labelsOf?: (job: T) => number;
}

interface Job {
  readonly tokens: readonly number[];
  readonly source?: readonly number[];
}

/** All that is read for a job: jobs of one source lie side by side. */
const readOf = ({ source, tokens }: Job): readonly number[] => (source ? [...source, ...tokens] : tokens);

const MOST_SEQUENCES = 64;
/** The fused attention of prompts goes over padded sequences, S of B: this many times the tokens of the linear layers at most. */
const PADDED = 8;

/** Tokens at which two sequences first differ. */
function sharedLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at++;
  return at;
}

export function* batches<T extends Job>(jobs: readonly T[], limits: BatchLimits<T>): Generator<T[]> {
  const { group = () => '', extra = () => 0, copies = () => 1, labelsOf = () => 0 } = limits;
  let batch: T[] = [];
  let [rows, labels, sequences, longest] = [0, 0, 0, 0];
  for (const job of sorted(jobs, group)) {
    const before = batch.at(-1);
    const { length } = readOf(job);
    const own = length - (before ? sharedLength(readOf(before), readOf(job)) : 0) + extra(job) * copies(job);
    const padded = (sequences + copies(job)) * Math.max(longest, length + extra(job));
    const full =
      rows + own > limits.tokens ||
      padded > PADDED * limits.tokens ||
      labels + labelsOf(job) > (limits.labels ?? Number.POSITIVE_INFINITY) ||
      sequences + copies(job) > (limits.sequences ?? MOST_SEQUENCES);
    if (before && (full || group(before) !== group(job))) {
      yield batch;
      [batch, rows, labels, sequences, longest] = [[], 0, 0, 0, 0];
    }
    rows += batch.length > 0 ? own : length + extra(job) * copies(job);
    batch.push(job);
    labels += labelsOf(job);
    sequences += copies(job);
    longest = Math.max(longest, length + extra(job));
  }
  if (batch.length > 0) yield batch;
}

/** How many tokens decide that two jobs belong to one family, whose members stay side by side. */
const FAMILY = 8;

/** Group by group; in it families of like beginnings, the one with the longest member first; in a family by its tokens. */
function sorted<T extends Job>(jobs: readonly T[], group: (job: T) => string): T[] {
  const longest = new Map<string, number>();
  const families = new Map<T, string>();
  for (const job of jobs) {
    const family = `${group(job)}|${readOf(job).slice(0, FAMILY).join(' ')}`;
    families.set(job, family);
    longest.set(family, Math.max(longest.get(family) ?? 0, readOf(job).length));
  }
  const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...jobs].sort(
    (a, b) =>
      compare(group(a), group(b)) ||
      longest.get(families.get(b)!)! - longest.get(families.get(a)!)! ||
      compare(families.get(a)!, families.get(b)!) ||
      compareTokens(readOf(a), readOf(b)),
  );
}

function compareTokens(a: readonly number[], b: readonly number[]): number {
  const at = sharedLength(a, b);
  return at < a.length && at < b.length ? a[at]! - b[at]! : b.length - a.length;
}
