// `generate` and `score` as calls: a model by name and rows in, results out, in order and each as soon as it is there.

import { type OnEvent, silent } from '../base/events.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { configOptions, type OpenModelOptions, openModel } from '../models/open-model.ts';
import { inOrder } from './in-order.ts';
import type { GenerateRequest, Generation, Score, ScoreRequest } from './language-model.ts';
import { LocalModel } from './local-model.ts';

export interface ModelOptions extends Omit<OpenModelOptions, 'onEvent'>, ComputeOptions {
  readonly model: string;
  /** Most tokens in one run of the engine: memory against speed. */
  readonly batch_tokens?: number;
  readonly onEvent?: OnEvent;
}

export interface GenerateOptions extends ModelOptions, Partial<Omit<GenerateRequest, 'prompt' | 'draw'>> {
  readonly prompts: Iterable<string> | AsyncIterable<string>;
}

export interface ScoreOptions extends ModelOptions {
  readonly rows: Iterable<ScoreRequest> | AsyncIterable<ScoreRequest>;
}

/** Rows that are batched together: the more, the less padding, and the later the first result. */
const GENERATE_GROUP = 256;
const SCORE_GROUP = 1024;
const MAX_NEW_TOKENS = 40;

/** One result a sample: the samples of a prompt one after the other. What a prompt gets does not depend on the others. */
export async function* generate(options: GenerateOptions): AsyncGenerator<Generation, void> {
  const { prompts, max_new_tokens = MAX_NEW_TOKENS, sampling, num_samples, stop } = options;
  let draw = 0;
  yield* over(
    options,
    'generating',
    groups(prompts, GENERATE_GROUP),
    num_samples ?? 1,
    async function* (model, group) {
      const requests = group.map(
        (prompt): GenerateRequest => ({
          prompt,
          max_new_tokens,
          draw: draw++,
          ...(sampling && { sampling }),
          ...(num_samples !== undefined && { num_samples }),
          ...(stop && { stop }),
        }),
      );
      for await (const { generation } of inOrder(model.generate(requests))) yield generation;
    },
  );
}

/** One score a row. */
export async function* score(options: ScoreOptions): AsyncGenerator<Score, void> {
  yield* over(options, 'scoring', groups(options.rows, SCORE_GROUP), 1, async function* (model, group) {
    for await (const { score } of inOrder(model.score(group))) yield score;
  });
}

/** Opens the model, passes the groups through `each`, tells how far it is, and lets go of the model however it ends. */
async function* over<T, R>(
  { model: name, batch_tokens, onEvent = silent, ...opening }: ModelOptions,
  phase: string,
  rows: AsyncIterable<readonly T[]>,
  each: number,
  call: (model: LocalModel, group: readonly T[]) => AsyncIterable<R>,
): AsyncGenerator<R, void> {
  onEvent({ kind: 'phase', name: 'opening', detail: name });
  const { cacheDir, dtype } = opening;
  const device = await openDevice(opening);
  const folder = await openModel(name, {
    onEvent,
    ...(cacheDir !== undefined && { cacheDir }),
    ...(dtype !== undefined && { dtype }),
    ...configOptions(opening),
  });
  const model = await LocalModel.open(folder, {
    device,
    ...(batch_tokens !== undefined && { batch_tokens }),
  });
  try {
    onEvent({ kind: 'phase', name: phase });
    let [done, total] = [0, 0];
    for await (const group of rows) {
      total += group.length * each;
      for await (const result of call(model, group)) {
        onEvent({ kind: 'progress', name: phase, done: ++done, total });
        yield result;
      }
    }
  } finally {
    await model.release();
  }
}

async function* groups<T>(rows: Iterable<T> | AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const row of rows) {
    group.push(row);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
