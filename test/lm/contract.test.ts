// What everything that answers must do, once for each kind of it: a checkpoint here, and the same one behind a server.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { abortableEach } from '../../src/base/abort.ts';
import type { WhorlError } from '../../src/base/error.ts';
import { generateAll, generateEach, scoreAll } from '../../src/lm/ask.ts';
import { type GenerateRequest, type LanguageModel, questionUnder } from '../../src/lm/language-model.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openLanguageModel } from '../../src/lm/open.ts';
import { openModel } from '../../src/models/open-model.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { over, type Server, serve } from './openai-server.ts';

const TEMPLATE =
  '{% for m in messages %}({{ m.role }}) {{ m.content }}|{% endfor %}{% if add_generation_prompt %}(assistant) {% endif %}';

let folder: string;
let local: LocalModel;
let server: Server;
beforeAll(async () => {
  folder = scratch();
  const path = tinyModel(folder);
  const file = join(path, 'tokenizer_config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), chat_template: TEMPLATE }));
  local = await LocalModel.open(await openModel(path));
  server = await serve(over(local));
});
afterAll(async () => {
  await server.close();
  await local.release();
  rmSync(folder, { recursive: true });
});

const behind = (endpoint_kind: 'chat' | 'completions') =>
  openLanguageModel({ kind: 'endpoint', url: server.url, model_name: 'tiny', endpoint_kind, concurrency: 3 });

/** What can be asked of each, and texts that the same weights give for it elsewhere. */
const KINDS: Readonly<
  Record<string, { open: () => Promise<LanguageModel>; ask: (text: string) => GenerateRequest }>
> = {
  'a checkpoint': {
    open: () =>
      Promise.resolve({
        ...local.under(undefined, local.variant),
        generateRows: (requests) => local.generateRows(requests),
        score: (requests) => local.score(requests),
      } as LanguageModel),
    ask: (prompt) => ({ prompt, max_new_tokens: 6 }),
  },
  'a server, texts': { open: () => behind('completions'), ask: (prompt) => ({ prompt, max_new_tokens: 6 }) },
  'a server, turns': {
    open: () => behind('chat'),
    ask: (content) => ({ messages: [{ role: 'user', content }], max_new_tokens: 6 }),
  },
};

const TEXTS = ['ab', 'a longer text of some words', 'x', '3 + 4 =', 'ab', 'zz top', 'q'];
const TOO_LONG = 'long '.repeat(400);

describe.each(Object.entries(KINDS))('%s', (_, { open, ask }) => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await open();
  });
  afterAll(() => model.release());
  const requests = (texts = TEXTS) => texts.map(ask);
  const reference = async (list: readonly GenerateRequest[]) =>
    (await generateAll(local, list)).map(({ generated }) => generated);
  const texts = async (list: readonly GenerateRequest[]) =>
    (await generateAll(model, list)).map(({ generated }) => generated);

  test('one text a request, in their order, the same alone or among others', async () => {
    const wanted = await reference(requests());
    expect(new Set(wanted).size).toBeGreaterThan(3);
    expect(await texts(requests())).toEqual(wanted);
    expect(await texts([...requests()].reverse())).toEqual([...wanted].reverse());
    expect(await texts([requests()[3]!])).toEqual([wanted[3]]);
    expect(await texts([])).toEqual([]);
  });

  test('a generation names what was asked', async () => {
    const [text, turns] = [ask('ab'), ask('cd')];
    const [one, two] = await generateAll(model, [text, turns]);
    expect(one!.prompt).toBe(text.prompt ?? JSON.stringify(text.messages));
    expect(two!.prompt).toBe(turns.prompt ?? JSON.stringify(turns.messages));
  });

  test('no more than the new tokens asked for; fewer begin the same', async () => {
    const [whole] = await texts([ask('ab')]);
    for (const max_new_tokens of [1, 3]) {
      const [part] = await texts([{ ...ask('ab'), max_new_tokens }]);
      expect(part).toBe(whole!.slice(0, max_new_tokens)); // a token of this model is a character
    }
  });

  test('a text ends before the first stop string, however many are given', async () => {
    const [whole] = await texts([ask('ab')]);
    const stop = [whole!.slice(2, 4), whole!.slice(4, 5), 'never said', 'nor this', 'nor that', 'nor those'];
    const first = Math.min(...stop.map((one) => whole!.indexOf(one)).filter((at) => at >= 0));
    expect(await texts([{ ...ask('ab'), stop }])).toEqual([whole!.slice(0, first)]);
    await expect(texts([{ ...ask('ab'), stop: [''] }])).rejects.toMatchObject({ code: 'usage' });
  });

  test('samples of a request stand one after the other', async () => {
    const [a, b] = await reference([ask('ab'), ask('x')]);
    expect(await texts([{ ...ask('ab'), num_samples: 2 }, ask('x')])).toEqual([a, a, b]);
  });

  test('a request that cannot be answered is an error in its place, and the end of a call that has no place for it', async () => {
    const list = [ask('ab'), { ...ask(TOO_LONG), num_samples: 2 }, ask('x')];
    const failed: [number, WhorlError][] = [];
    const onRowError = (row: number, error: WhorlError) => failed.push([row, error]);
    const got: string[] = [];
    for await (const { generated } of generateEach(model, list, { onRowError })) got.push(generated);
    expect(got).toEqual(await reference([ask('ab'), ask('x')]));
    expect(failed).toHaveLength(1);
    expect(failed[0]![0]).toBe(1);
    await expect(texts(list)).rejects.toMatchObject({ name: 'WhorlError' });
  });

  test("the caller's signal ends it with one error", async () => {
    const stop = new AbortController();
    const each = abortableEach({ signal: stop.signal }, () => generateEach(model, requests(), { group: 2 }));
    await each.next();
    stop.abort();
    await expect(each.next()).rejects.toMatchObject({ code: 'aborted' });
    expect(await texts([ask('ab')])).toEqual(await reference([ask('ab')])); // and it goes on answering
  });

  test('a wrapper gives a question that it can answer', async () => {
    const name = ask('').messages ? 'chat' : 'qa';
    const question = questionUnder(await model.wrapped(name), 'ab');
    const local_ = questionUnder(await local.wrapped(name), 'ab');
    expect(await texts([{ ...question, max_new_tokens: 6 }])).toEqual(
      await reference([{ ...local_, max_new_tokens: 6 }]),
    );
    await expect(model.wrapped('alpacca')).rejects.toMatchObject({ code: 'usage' });
  });
});

const SCORED = [
  { context: 'a longer ', continuation: 'text' },
  { context: 'x', continuation: 'y' },
  { context: 'ab', continuation: 'cde' },
];
test('log-probabilities are those of the weights, where a server gives them; elsewhere that is said', async () => {
  const [said] = await generateAll(local, [{ prompt: 'x', max_new_tokens: 5 }]);
  const rows = [...SCORED, { context: 'x', continuation: said!.generated }];
  const wanted = await scoreAll(local, rows);
  expect(wanted.map(({ greedy }) => greedy)).toEqual([false, false, false, true]);
  const completions = await behind('completions');
  const got = await scoreAll(completions, rows);
  for (const [i, { logprob, ...more }] of got.entries()) {
    expect(logprob).toBeCloseTo(wanted[i]!.logprob, 4);
    expect(more).toEqual({ tokens: wanted[i]!.tokens, greedy: wanted[i]!.greedy });
  }
  await completions.release();
  const chat = await behind('chat');
  await expect(scoreAll(chat, SCORED)).rejects.toMatchObject({ code: 'unsupported' });
  await chat.release();
});
