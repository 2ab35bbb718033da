// The one way to ask: requests of anything that answers, in groups, results in the order of the requests.

import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { GenerateRequest, Generation, LanguageModel, Score, ScoreRequest } from './language-model.ts';

export interface AskOptions {
  /**
   * Requests that are batched together: the more, the less padding, and the later the first result. Default: all.
   * What a request gets does not depend on it.
   */
  readonly group?: number;
  /** In progress events; default: asking. */
  readonly name?: string;
  readonly onEvent?: OnEvent;
}

type Requests<T> = Iterable<T> | AsyncIterable<T>;

/** One generation a sample, each as soon as those before it are there: the samples of a request one after the other. */
export async function* generateEach(
  model: LanguageModel,
  requests: Requests<GenerateRequest>,
  options: AskOptions = {},
): AsyncGenerator<Generation, void> {
  let place = 0;
  const results = each(
    requests,
    ({ num_samples = 1 }) => num_samples,
    // The place in the whole input, not in the group, decides what is drawn.
    (group) => model.generate(group.map((request) => ({ draw: place++, ...request }))),
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
  if (!model.score)
    throw new WhorlError(
      'unsupported',
      `${model.name} gives no log-probabilities`,
      'score a model whose weights lie here',
    );
  const results = each(
    requests,
    () => 1,
    (group) => model.score!(group),
    options,
  );
  for await (const { score } of results) yield score;
}

/** All generations. */
export const generateAll = (
  model: LanguageModel,
  requests: readonly GenerateRequest[],
  options?: AskOptions,
): Promise<Generation[]> => all(generateEach(model, requests, options));

/** All scores. */
export const scoreAll = (
  model: LanguageModel,
  requests: readonly ScoreRequest[],
  options?: AskOptions,
): Promise<Score[]> => all(scoreEach(model, requests, options));

async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const result of results) out.push(result);
  return out;
}

async function* each<T, R extends { readonly index: number }>(
  requests: Requests<T>,
  resultsOf: (request: T) => number,
  call: (group: readonly T[]) => AsyncIterable<R>,
  { group: size = Number.POSITIVE_INFINITY, name = 'asking', onEvent = silent }: AskOptions,
): AsyncGenerator<R> {
  let [done, total] = [0, 0];
  for await (const group of groups(requests, size)) {
    total += group.reduce((sum, request) => sum + resultsOf(request), 0);
    for await (const result of inOrder(call(group))) {
      onEvent({ kind: 'progress', name, done: ++done, total });
      yield result;
    }
  }
}

async function* groups<T>(requests: Requests<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const request of requests) {
    group.push(request);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Results that come out of order, in order, each as soon as those before it are there. */
async function* inOrder<R extends { readonly index: number }>(results: AsyncIterable<R>): AsyncGenerator<R> {
  const waiting = new Map<number, R>();
  let next = 0;
  for await (const result of results) {
    waiting.set(result.index, result);
    for (let ready = waiting.get(next); ready !== undefined; ready = waiting.get(next)) {
      waiting.delete(next++);
      yield ready;
    }
  }
}
