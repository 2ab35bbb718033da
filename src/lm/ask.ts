// The one way to ask: requests of anything that answers, in groups, results in the order of the requests.

import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { answeredRows } from './answered-rows.ts';
import type { GenerateRequest, Generation, LanguageModel, Score, ScoreRequest } from './language-model.ts';
import type { RowFailure } from './row-failure.ts';

/** Told of a row that cannot be answered, counted from 0; without it such a row ends the call. */
export type OnRowError = (row: number, error: WhorlError) => void;

export interface AskOptions {
  /**
   * Requests that are batched together: the more, the less padding, and the later the first result. Default: all.
   * What a request gets does not depend on it.
   */
  readonly group?: number;
  /** In progress events; default: asking. */
  readonly name?: string;
  readonly onRowError?: OnRowError;
  readonly onEvent?: OnEvent;
}

/** An error in a request's place is that row's. */
type Requests<T> = Iterable<T | WhorlError> | AsyncIterable<T | WhorlError>;

/** One generation a sample, each as soon as those before it are there: the samples of a request one after the other. */
export async function* generateEach<G extends Generation>(
  model: LanguageModel<G>,
  requests: Requests<GenerateRequest>,
  options: AskOptions = {},
): AsyncGenerator<G, void> {
  const { onRowError } = options;
  const results = each(
    drawn(requests),
    ({ num_samples = 1 }) => num_samples,
    (group) => (onRowError && model.generateRows?.(group)) ?? model.generate(group),
    options,
  );
  for await (const { generation } of results) yield generation;
}

/** One score a request. @throws WhorlError `unsupported` of one that gives no log-probabilities */
export async function* scoreEach(
  model: LanguageModel,
  requests: Requests<ScoreRequest>,
  options: AskOptions = {},
): AsyncGenerator<Score, void> {
  const { onRowError } = options;
  if (!model.score)
    throw new WhorlError(
      'unsupported',
      `${model.name} gives no log-probabilities`,
      'score a model whose weights lie here',
    );
  const results = each(
    requests,
    () => 1,
    (group) => (onRowError && model.scoreRows?.(group)) ?? model.score!(group),
    options,
  );
  for await (const { score } of results) yield score;
}

/** The place in the whole input, not in the group, decides what is drawn. */
async function* drawn(requests: Requests<GenerateRequest>): AsyncGenerator<GenerateRequest | WhorlError> {
  let place = 0;
  for await (const request of requests) {
    const draw = place++;
    yield request instanceof WhorlError ? request : { draw, ...request };
  }
}

/** All generations. */
export const generateAll = <G extends Generation>(
  model: LanguageModel<G>,
  requests: readonly GenerateRequest[],
  options?: AskOptions,
): Promise<G[]> => all(generateEach(model, requests, options));

/** All scores. */
export const scoreAll = (
  model: LanguageModel,
  requests: readonly ScoreRequest[],
  options?: AskOptions,
): Promise<Score[]> => all(scoreEach(model, requests, options));

/** Of anything that comes one by one. */
export async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const result of results) out.push(result);
  return out;
}

async function* each<T extends object, R extends { readonly index: number }>(
  requests: Requests<T>,
  resultsOf: (request: T) => number,
  call: (group: readonly T[]) => AsyncIterable<R | RowFailure>,
  { group: size = Number.POSITIVE_INFINITY, name = 'asking', onRowError, onEvent = silent }: AskOptions,
): AsyncGenerator<R> {
  const most = (request: T | WhorlError) => (request instanceof WhorlError ? 1 : resultsOf(request));
  let [done, total, before] = [0, 0, 0];
  for await (const group of groups(requests, size)) {
    total += group.reduce((sum, request) => sum + most(request), 0);
    for await (const { row, result } of answeredRows(group, resultsOf, call)) {
      const error = result instanceof WhorlError ? result : undefined;
      if (error && !onRowError) throw error;
      done += error ? most(group[row]!) : 1;
      onEvent({ kind: 'progress', name, done, total });
      if (error) onRowError!(before + row, error);
      else yield result as R;
    }
    before += group.length;
  }
}

async function* groups<T>(requests: Requests<T>, size: number): AsyncGenerator<(T | WhorlError)[]> {
  let group: (T | WhorlError)[] = [];
  for await (const request of requests) {
    group.push(request);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
