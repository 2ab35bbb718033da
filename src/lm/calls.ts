// `generate` and `score` as calls: a model by name and rows in, results out, in order and each as soon as it is there.

import { type Abortable, abortableEach } from '../base/abort.ts';
import { silent } from '../base/events.ts';
import { generateEach, type OnRowError, scoreEach } from './ask.ts';
import type { Answering, Score, ScoreRequest, TextRequest, TokenGeneration } from './language-model.ts';
import type { LocalModel } from './local-model.ts';
import { type AdapterChoice, type OpenOptions, openLanguageModel } from './open.ts';

export interface ModelOptions extends Omit<OpenOptions, 'sequences'>, Abortable {
  readonly model: string;
  /** The paper's adapter, laid over the model. */
  readonly adapter?: AdapterChoice;
}

export interface GenerateOptions extends ModelOptions, Partial<Omit<Answering, 'draw'>> {
  readonly prompts: Iterable<string> | AsyncIterable<string>;
  readonly onRowError?: OnRowError;
}

export interface ScoreOptions extends ModelOptions {
  readonly rows: Iterable<ScoreRequest> | AsyncIterable<ScoreRequest>;
  readonly onRowError?: OnRowError;
}

/** Rows that are batched together: the more, the less padding, and the later the first result. */
export const GENERATE_GROUP = 256;
export const SCORE_GROUP = 1024;
const MAX_NEW_TOKENS = 40;

/** One result a sample: the samples of a prompt one after the other. What a prompt gets does not depend on the others. */
export const generate = (options: GenerateOptions): AsyncGenerator<TokenGeneration, void> =>
  abortableEach(options, generated);

async function* generated(options: GenerateOptions): AsyncGenerator<TokenGeneration, void> {
  const { prompts, max_new_tokens = MAX_NEW_TOKENS, sampling, num_samples, stop } = options;
  const { onEvent = silent, onRowError } = options;
  async function* requests(): AsyncGenerator<TextRequest> {
    for await (const prompt of prompts)
      yield {
        prompt,
        max_new_tokens,
        ...(sampling && { sampling }),
        ...(num_samples !== undefined && { num_samples }),
        ...(stop && { stop }),
      };
  }
  const name = 'generating';
  const asked = { group: GENERATE_GROUP, name, onEvent, ...(onRowError && { onRowError }) };
  yield* opened(options, name, (model) => generateEach(model, requests(), asked));
}

/** One score a row. */
export const score = (options: ScoreOptions): AsyncGenerator<Score, void> => abortableEach(options, scored);

async function* scored(options: ScoreOptions): AsyncGenerator<Score, void> {
  const { rows, onEvent = silent, onRowError } = options;
  const name = 'scoring';
  const asked = { group: SCORE_GROUP, name, onEvent, ...(onRowError && { onRowError }) };
  yield* opened(options, name, (model) => scoreEach(model, rows, asked));
}

/** Opens the model, asks, and lets go of the model however it ends. */
async function* opened<R>(
  options: ModelOptions,
  phase: string,
  ask: (model: LocalModel) => AsyncIterable<R>,
): AsyncGenerator<R, void> {
  const { model: named, adapter, onEvent = silent } = options;
  onEvent({ kind: 'phase', name: 'opening', detail: named });
  const model = await openLanguageModel(
    { kind: 'model', model: named, ...(adapter && { adapter }) },
    options,
  );
  try {
    onEvent({ kind: 'phase', name: phase });
    yield* ask(model);
  } finally {
    await model.release();
  }
}
