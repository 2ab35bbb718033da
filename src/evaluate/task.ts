// What a task is once its file is read: where its rows lie, what is asked about a row, how answers become metrics.

import type { Score } from '../lm/language-model.ts';
import type { Row } from '../sources/rows/row.ts';
import type { AggregationName, Item, Target } from './metrics.ts';

/** A choice among continuations, one continuation's probability, or text that is generated. */
export type OutputType = 'multiple_choice' | 'loglikelihood' | 'generate_until';

export interface TaskMetric {
  readonly metric: string;
  readonly aggregation: AggregationName;
  readonly higher_is_better: boolean;
}

interface Splits {
  readonly training?: string;
  readonly validation?: string;
  readonly test?: string;
  readonly fewshot?: string;
}

export interface Filter {
  readonly name: string;
  readonly pattern?: RegExp;
  /** Which match is taken: 0 the first, -1 the last. */
  readonly select: number;
}

export interface Generating {
  readonly until: readonly string[];
  readonly max_new_tokens: number;
  readonly filters: readonly Filter[];
  /** What is deleted from both texts before they are compared. */
  readonly ignored: readonly RegExp[];
  readonly ignoreCase: boolean;
  readonly ignorePunctuation: boolean;
}

/** Of a row, after what prepares it. */
export interface Task {
  readonly name: string;
  readonly alias: string;
  /** The groups it counts in: `mmlu_stem`. */
  readonly tags: readonly string[];
  readonly dataset_path: string;
  readonly dataset_name: string | null;
  readonly splits: Splits;
  readonly output_type: OutputType;
  readonly description: string;
  readonly target_delimiter: string;
  readonly fewshot_delimiter: string;
  /** `first_n` takes the pool's first rows, `default` draws. */
  readonly sampler: SamplerName;
  /** Of a task that is asked with this number of examples whatever is asked for. */
  readonly num_fewshot?: number;
  readonly metrics: readonly TaskMetric[];
  readonly version: number | string;
  readonly generating?: Generating;
  /** Of a data set that several tasks share: the values by which this one's rows are told. */
  readonly keeps: Row;
  prepare(row: Row): Row;
  /** A number where each choice is a context of its own: its place among the choices. */
  text(row: Row): string | number;
  choices?(row: Row): readonly string[];
  target(row: Row): Target;
  /** Of an example, where it is not asked and answered as a row is. */
  exampleText?(row: Row): string | number;
  exampleTarget?(row: Row): Target;
  /** Where the metrics are not the usual ones. */
  results?(row: Row, scores: readonly Score[]): Readonly<Record<string, number>>;
  /** The same of a generated answer. */
  grades?(row: Row, answer: string): Readonly<Record<string, Item>>;
}

export type SamplerName = 'default' | 'first_n';

/** Which rows are evaluated: the test split, or the validation split where there is none. */
export const evaluated = ({ splits }: Task): string => (splits.test ?? splits.validation)!;

/** Which rows examples come from. */
export const pool = ({ splits }: Task): string =>
  (splits.fewshot ?? splits.training ?? splits.validation ?? splits.test)!;

/**
 * Whether one example more is drawn and copies of the evaluated row are dropped: the harness compares the names of the
 * split for examples and of the test split, and neither named counts as the same.
 */
export const dropsOwn = ({ splits }: Task): boolean => splits.fewshot === splits.test;
