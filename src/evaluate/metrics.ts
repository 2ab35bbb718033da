// What a row's answers give (`acc`, `mcc`, …) and what the rows of a task give together, with standard errors: closed
// forms where there is one, else the harness's bootstrap, draw for draw. Items are kept as numbers, pairs as two of them.

import { CPythonRandom } from '../base/cpython-random.ts';
import type { Score } from '../lm/language-model.ts';

/** The right answer: its place among the choices, or a text. */
export type Target = string | number | readonly string[];

/** One row's contribution to a metric: a number, (gold, predicted), or as many numbers as a row has parts. */
export type Item = number | readonly [gold: number, predicted: number] | readonly number[];

/** The first of the largest, as numpy's; a NaN counts as the largest. */
export function argmax(values: readonly number[]): number {
  let best = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) return i;
    if (values[i]! > values[best]!) best = i;
  }
  return best;
}

export interface Choice {
  readonly choices: readonly string[];
  /** The place of the right one; NONE where no choice is it. */
  readonly gold: number;
  readonly scores: readonly Score[];
}

/** No choice has this place. */
const NONE = -100;

/** The right choice's place as the harness finds it: a text among the choices, a number that is below their count. */
export function goldOf(target: Target, choices: readonly string[]): number {
  if (typeof target === 'number') return target < choices.length ? target : NONE;
  const at = typeof target === 'string' ? choices.indexOf(target) : -1;
  return at < 0 ? NONE : at;
}

const logprobs = ({ scores }: Choice): number[] => scores.map(({ logprob }) => logprob);

/** Length of a choice without the delimiter: in characters, as Python counts them. */
const normalised = (choice: Choice, length: (text: string) => number): number[] =>
  logprobs(choice).map((value, i) => value / length(choice.choices[i]!));

const hit = (predicted: number, gold: number): number => (predicted === gold ? 1 : 0);

export const CHOICE_METRICS: Readonly<Record<string, (choice: Choice) => Item>> = {
  acc: (choice) => hit(argmax(logprobs(choice)), choice.gold),
  acc_norm: (choice) => hit(argmax(normalised(choice, (text) => [...text].length)), choice.gold),
  acc_bytes: (choice) => hit(argmax(normalised(choice, (text) => Buffer.byteLength(text))), choice.gold),
  exact_match: ({ gold, scores }) => (scores.at(gold)?.greedy && gold !== NONE ? 1 : 0),
  mcc: (choice) => [choice.gold, argmax(logprobs(choice))],
  f1: (choice) => [choice.gold, argmax(logprobs(choice))],
};

export const LIKELIHOOD_METRICS: Readonly<Record<string, (score: Score) => Item>> = {
  perplexity: ({ logprob }) => logprob,
  acc: ({ greedy }) => (greedy ? 1 : 0),
};

interface Aggregation {
  readonly of: (items: readonly Item[]) => number;
  /** How its standard error is found; `none`: the harness gives none. */
  readonly error: 'mean' | 'bootstrap' | 'none';
  /** The same over resampled rows, from their places: what the bootstrap calls a hundred thousand times. */
  readonly resampled?: (items: readonly Item[]) => (places: Int32Array) => number;
}

export type AggregationName = 'mean' | 'parts_mean' | 'perplexity' | 'matthews_corrcoef' | 'f1' | 'macro_f1';

const numbers = (items: readonly Item[]): readonly number[] => items as readonly number[];
const pairs = (items: readonly Item[]): readonly (readonly [number, number])[] =>
  items as readonly (readonly [number, number])[];

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Counts of (gold, predicted), row by row of a square. */
interface Confusion {
  readonly counts: Float64Array;
  readonly classes: number;
}

/** Rows as cells of the confusion matrix, so that a resample is counted without looking at them again. */
function cells(items: readonly Item[]): { readonly cell: Int32Array; readonly classes: readonly number[] } {
  const classes = [...new Set(pairs(items).flat())].sort((a, b) => a - b);
  const place = new Map(classes.map((value, i) => [value, i]));
  const cell = Int32Array.from(
    pairs(items),
    ([gold, predicted]) => place.get(gold)! * classes.length + place.get(predicted)!,
  );
  return { cell, classes };
}

/** Matthews' coefficient of several classes (Gorodkin 2004); 0 where it is undefined. */
function matthews({ counts, classes }: Confusion): number {
  let [correct, all, crossed, golds, predictions] = [0, 0, 0, 0, 0];
  for (let i = 0; i < classes; i++) {
    let [gold, predicted] = [0, 0];
    for (let j = 0; j < classes; j++) {
      gold += counts[i * classes + j]!;
      predicted += counts[j * classes + i]!;
    }
    correct += counts[i * classes + i]!;
    all += gold;
    crossed += gold * predicted;
    golds += gold * gold;
    predictions += predicted * predicted;
  }
  const covariance = correct * all - crossed;
  const [a, b] = [all * all - predictions, all * all - golds];
  return a * b === 0 ? 0 : covariance / Math.sqrt(b * a);
}

/** F1 of one class; 0 where nothing is of it or predicted so. */
function f1Of({ counts, classes }: Confusion, which: number): number {
  if (which < 0) return 0;
  let [gold, predicted] = [0, 0];
  for (let j = 0; j < classes; j++) {
    gold += counts[which * classes + j]!;
    predicted += counts[j * classes + which]!;
  }
  return gold + predicted === 0 ? 0 : (2 * counts[which * classes + which]!) / (gold + predicted);
}

const overConfusion =
  (of: (confusion: Confusion, classes: readonly number[]) => number) =>
  (items: readonly Item[]): ((places: Int32Array) => number) => {
    const { cell, classes } = cells(items);
    return (places) => {
      const counts = new Float64Array(classes.length ** 2);
      for (const place of places) counts[cell[place]!]!++;
      return of({ counts, classes: classes.length }, classes);
    };
  };

const counted = (resampled: NonNullable<Aggregation['resampled']>): Aggregation['of'] => {
  return (items) => resampled(items)(Int32Array.from(items, (_, i) => i));
};

const correlation = overConfusion(matthews);
const binaryF1 = overConfusion((confusion, classes) => f1Of(confusion, classes.indexOf(1)));
const macroF1 = overConfusion((confusion, classes) =>
  mean([0, 1, 2].map((label) => f1Of(confusion, classes.indexOf(label)))),
);

export const AGGREGATIONS: Readonly<Record<AggregationName, Aggregation>> = {
  mean: { of: (items) => mean(numbers(items)), error: 'mean' },
  // Over the parts of all rows: a row with more of them weighs more.
  parts_mean: { of: (items) => mean(items.flat()), error: 'none' },
  perplexity: {
    of: (items) => Math.exp(-mean(numbers(items))),
    error: 'bootstrap',
    resampled: (items) => {
      const values = Float64Array.from(numbers(items));
      return (places) => {
        let sum = 0;
        for (const place of places) sum += values[place]!;
        return Math.exp(-(sum / places.length));
      };
    },
  },
  matthews_corrcoef: { of: counted(correlation), error: 'bootstrap', resampled: correlation },
  f1: { of: counted(binaryF1), error: 'bootstrap', resampled: binaryF1 },
  // Of CommitmentBank: unweighted over its three classes, whether or not all of them occur.
  macro_f1: { of: counted(macroF1), error: 'none' },
};

/** Resamples of the harness by default, in chunks of a thousand. */
export const BOOTSTRAP = 100_000;
const CHUNK = 1000;

/** @returns undefined where the harness writes "N/A" */
export function standardError(
  name: AggregationName,
  items: readonly Item[],
  iterations: number = BOOTSTRAP,
): number | undefined {
  const { error, resampled } = AGGREGATIONS[name];
  if (iterations <= 0 || items.length < 2 || error === 'none') return undefined;
  return error === 'mean'
    ? deviation(numbers(items)) / Math.sqrt(items.length)
    : bootstrap(items.length, resampled!(items), iterations);
}

/** Sample standard deviation. */
function deviation(values: readonly number[] | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const middle = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - middle) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** Chunk i draws by `random.Random(i).choices`. */
function bootstrap(count: number, of: (places: Int32Array) => number, iterations: number): number {
  const size = Math.min(CHUNK, iterations);
  const chunks = Math.floor(iterations / size);
  const values = new Float64Array(chunks * size);
  const places = new Int32Array(count);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const dice = new CPythonRandom(BigInt(chunk));
    for (let draw = 0; draw < size; draw++) {
      for (let i = 0; i < count; i++) places[i] = Math.floor(dice.random() * count);
      values[chunk * size + draw] = of(places);
    }
  }
  return deviation(values);
}

/** Of a group whose score weighs every row alike. */
export function pooledError(errors: readonly number[], sizes: readonly number[]): number {
  const all = sizes.reduce((a, b) => a + b, 0);
  const variance = errors.reduce((sum, error, i) => sum + (sizes[i]! - 1) * error ** 2 * sizes[i]!, 0);
  return Math.sqrt(variance / (all - sizes.length) / all);
}
