// Rows to a model: a row's requests together, so that its context and the examples before it are computed once; each row's
// answer as soon as all of them are there.

import { WhorlError } from '../base/error.ts';
import { generateEach, scoreEach } from '../lm/ask.ts';
import type { GenerateRequest, LanguageModel, Score, ScoreRequest } from '../lm/language-model.ts';
import type { Answer } from './answers.ts';
import type { RowRequests } from './requests.ts';
import type { Generating, Task } from './task.ts';

export interface AskedRow {
  readonly row: number;
  readonly asked: string;
  readonly requests: RowRequests;
}

export interface AnsweredRow extends Omit<AskedRow, 'requests'> {
  readonly answer: Answer;
}

/** Requests that are batched together; at most so many are asked again after a kill. */
const GROUP = 512;

/** In order. @param bos how the tokenizer writes BOS: a prompt that begins so gets none. @throws WhorlError `bad-file` naming the row and the choice that cannot be scored */
export async function* askRows(
  model: LanguageModel,
  task: Task,
  rows: Iterable<AskedRow>,
  bos = '',
): AsyncGenerator<AnsweredRow> {
  yield* task.generating ? generated(model, task.generating, rows, bos) : scored(model, task, rows);
}

async function* scored(
  model: LanguageModel,
  task: Task,
  rows: Iterable<AskedRow>,
): AsyncGenerator<AnsweredRow> {
  const waiting: AskedRow[] = [];
  const places: { readonly row: AskedRow; readonly choice: number }[] = [];
  const requests = function* (): Generator<ScoreRequest> {
    for (const row of rows) {
      waiting.push(row);
      for (const [choice, request] of row.requests.requests.entries()) {
        places.push({ row, choice });
        yield request;
      }
    }
  };
  const onRowError = (place: number, error: WhorlError): void => {
    const { row, choice } = places[place]!;
    const { where, requests: each } = row.requests;
    throw new WhorlError(
      error.code === 'usage' ? 'bad-file' : error.code, // a row is no flag
      `${where}: ${task.name} cannot score choice ${choice + 1}, ${JSON.stringify(each[choice]!.continuation.slice(0, 40))}: ${error.message}`,
      undefined,
      { cause: error },
    );
  };
  let scores: Score[] = [];
  for await (const score of scoreEach(model, requests(), { group: GROUP, onRowError })) {
    scores.push(score);
    const { row, asked, requests: of } = waiting[0]!;
    if (scores.length < of.requests.length) continue;
    waiting.shift();
    yield { row, asked, answer: { scores } };
    scores = [];
  }
}

async function* generated(
  model: LanguageModel,
  { max_new_tokens, until }: Generating,
  rows: Iterable<AskedRow>,
  bos: string,
): AsyncGenerator<AnsweredRow> {
  const waiting: AskedRow[] = [];
  const requests = function* (): Generator<GenerateRequest> {
    for (const row of rows) {
      waiting.push(row);
      const prompt = row.requests.requests[0]!.context;
      const begun = bos !== '' && prompt.startsWith(bos);
      yield { prompt, ...(begun && { add_special_tokens: false }), max_new_tokens, stop: until };
    }
  };
  for await (const { generated: text } of generateEach(model, requests(), { group: GROUP })) {
    const { row, asked } = waiting.shift()!;
    yield { row, asked, answer: { generated: text } };
  }
}
