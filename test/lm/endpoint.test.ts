// Servers that go wrong in every way we know: one line each, nothing of theirs or ours that must not be seen in it, and never
// an answer out of what is none.

import { afterEach, describe, expect, test } from 'vitest';
import { abortable } from '../../src/base/abort.ts';
import { type ErrorCode, WhorlError } from '../../src/base/error.ts';
import { Secret } from '../../src/base/secret.ts';
import { generateAll, generateEach } from '../../src/lm/ask.ts';
import { EndpointModel } from '../../src/lm/endpoint/endpoint-model.ts';
import { scoreIn } from '../../src/lm/endpoint/score.ts';
import {
  apiKeyFrom,
  type EndpointSpec,
  type EndpointTuning,
  endpointSettings,
} from '../../src/lm/endpoint/settings.ts';
import { type Answer, answering, json, type Server, said, serve, textOf } from './openai-server.ts';

const KEY = 'sk-canary-0123456789/+"abc';
const PROMPT = 'a prompt that is secret';
const soon = { sleep: () => new Promise<void>((done) => setImmediate(done)) };

const opened: { model: EndpointModel; server: Server }[] = [];
afterEach(async () => {
  for (const { model, server } of opened.splice(0)) {
    await model.release();
    await server.close();
  }
});

async function asking(
  answer: Answer,
  spec: Partial<EndpointSpec> = {},
  tuning: EndpointTuning = {},
): Promise<{ model: EndpointModel; server: Server }> {
  const server = await serve(answer);
  const model = await EndpointModel.open(
    { kind: 'endpoint', url: server.url, model_name: 'm', endpoint_kind: 'completions', ...spec },
    { ...soon, attempts: 2, ...tuning },
  );
  opened.push({ model, server });
  return { model, server };
}

const requests = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ prompt: `${PROMPT} ${i}`, max_new_tokens: 4 }));

async function failureOf(model: EndpointModel, count = 1): Promise<WhorlError> {
  const error: unknown = await generateAll(model, requests(count)).then(
    (answers) => Promise.reject(new Error(`answered: ${JSON.stringify(answers)}`)),
    (cause: unknown) => cause,
  );
  if (!(error instanceof WhorlError)) throw error;
  return error;
}

/** Goes well for the harmless question, so that what follows is about a key. */
const then =
  (answer: Answer): Answer =>
  (asked, response, place) =>
    textOf(asked.body) === 'Hello' ? json(response, said(asked, ['!'])) : answer(asked, response, place);

const body =
  (
    text: string,
    headers: Record<string, string> = { 'content-type': 'application/json' },
    status = 200,
  ): Answer =>
  (_, response) => {
    response.writeHead(status, headers).end(text);
  };
const value =
  (change: (whole: Record<string, unknown>) => unknown): Answer =>
  (asked, response) =>
    json(response, change(said(asked, ['fine']) as Record<string, unknown>));

interface Case {
  readonly answer: Answer;
  readonly code: ErrorCode;
  /** Part of the line. */
  readonly says: string;
  /** Requests for one key; default 2, all tries. */
  readonly tries?: number;
}
const drip =
  (piece: string, every: number): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(piece), every);
    response.on('close', () => clearInterval(timer));
  };

const CASES: Readonly<Record<string, Case>> = {
  'a web page': {
    answer: body('<!doctype html><p>log in</p>', { 'content-type': 'text/html' }),
    code: 'endpoint',
    says: 'a web page',
  },
  'a web page that says it is JSON': { answer: body('  <html>'), code: 'endpoint', says: 'a web page' },
  'no JSON': { answer: body('{"choices": ['), code: 'endpoint', says: 'not JSON' },
  'no UTF-8': {
    answer: (_, response) => void response.writeHead(200).end(Buffer.from([0x7b, 0xff, 0xfe])),
    code: 'endpoint',
    says: 'not JSON',
  },
  'a key twice': {
    answer: body('{"choices": [], "choices": [{"text": "x"}]}'),
    code: 'endpoint',
    says: 'not JSON',
  },
  'nothing at all': { answer: body(''), code: 'endpoint', says: 'not JSON' },
  'nested without end': {
    answer: body('['.repeat(4e5) + ']'.repeat(4e5)),
    code: 'endpoint',
    says: 'nested without end',
  },
  'a list': { answer: body('[]'), code: 'endpoint', says: 'no object' },
  'no choices': { answer: value(({ choices: _, ...rest }) => rest), code: 'endpoint', says: 'no choices' },
  'empty choices': {
    answer: value((whole) => ({ ...whole, choices: [] })),
    code: 'endpoint',
    says: 'choices',
  },
  'choices of another kind': {
    answer: value((whole) => ({ ...whole, choices: { 0: { text: 'x' } } })),
    code: 'endpoint',
    says: 'no choices',
  },
  'a choice of null': {
    answer: value((whole) => ({ ...whole, choices: [null] })),
    code: 'endpoint',
    says: 'no choices.[0]',
  },
  'text null': {
    answer: value((whole) => ({ ...whole, choices: [{ index: 0, text: null }] })),
    code: 'endpoint',
    says: 'no choices.[0].text',
  },
  'text a number': {
    answer: value((whole) => ({ ...whole, choices: [{ index: 0, text: 7 }] })),
    code: 'endpoint',
    says: 'no choices.[0].text',
  },
  'another index': {
    answer: value((whole) => ({ ...whole, choices: [{ index: 1, text: 'x' }] })),
    code: 'endpoint',
    says: 'out of their numbers',
  },
  'more choices than asked': {
    answer: value((whole) => ({
      ...whole,
      choices: [
        { index: 0, text: 'x' },
        { index: 1, text: 'y' },
      ],
    })),
    code: 'endpoint',
    says: '2 choices',
  },
  'a huge body': {
    answer: body(`{"choices": [{"text": "${'x'.repeat(9 << 20)}"}]}`),
    code: 'endpoint',
    says: 'more than 1049600 bytes',
  },
  'a body without end': {
    answer: (_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write('x'.repeat(65_536))) if (response.destroyed) return;
        response.once('drain', more);
      };
      more();
    },
    code: 'endpoint',
    says: 'more than 1049600 bytes',
  },
  'bytes that drip': { answer: drip(' ', 20), code: 'unreachable', says: 'takes longer than --timeout' },
  silence: { answer: () => {}, code: 'unreachable', says: 'takes longer than --timeout' },
  'headers without end': {
    answer: (_, response) => {
      response.writeHead(200, { 'x-long': 'x'.repeat(1 << 17) }).end('{}');
    },
    code: 'unreachable',
    says: 'headers without end',
  },
  'a connection that breaks': {
    answer: (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"choi');
      setTimeout(() => response.destroy(), 10);
    },
    code: 'unreachable',
    says: 'closes the connection',
  },
  compressed: { answer: body('x', { 'content-encoding': 'gzip' }), code: 'endpoint', says: 'compressed' },
  'an error': { answer: body('{"error": {"message": "boom"}}', {}, 500), code: 'unreachable', says: '500' },
  'too many requests': { answer: body('', { 'retry-after': '0' }, 429), code: 'unreachable', says: '429' },
  'come back next year': {
    answer: body('', { 'retry-after': '31536000' }, 429),
    code: 'unreachable',
    says: '429',
    tries: 1,
  },
  'no access': {
    answer: body('{"error": {"code": "invalid_api_key"}}', {}, 401),
    code: 'endpoint',
    says: '401 invalid_api_key',
    tries: 1,
  },
  'to be paid': { answer: body('', {}, 402), code: 'endpoint', says: '402', tries: 1 },
  'not there': { answer: body('<html>', {}, 404), code: 'endpoint', says: '404', tries: 1 },
  'a code of its own making': {
    answer: (asked, response) =>
      json(response, { error: { code: textOf(asked.body), type: `\u001b[2J${KEY.slice(0, 4)}` } }, 400),
    code: 'endpoint',
    says: 'answers with 400:',
    tries: 1,
  },
  'a redirect elsewhere': {
    answer: body('', { location: 'http://127.0.0.1:9/v1/completions' }, 307),
    code: 'endpoint',
    says: 'redirects (307) to http://127.0.0.1:9',
    tries: 1,
  },
  'a redirect to a file': {
    answer: body('', { location: 'file:///etc/passwd' }, 302),
    code: 'endpoint',
    says: 'redirects (302) to file:',
    tries: 1,
  },
  'a redirect at home': {
    answer: body('', { location: '/v1/elsewhere' }, 308),
    code: 'endpoint',
    says: 'within its own origin',
    tries: 1,
  },
  'a redirect to nowhere': { answer: body('', {}, 301), code: 'endpoint', says: 'redirects (301)', tries: 1 },
  'the API key': {
    answer: (asked, response) => json(response, said(asked, [`you are ${KEY}`])),
    code: 'endpoint',
    says: 'sends the API key back',
    tries: 1,
  },
  'the API key in escapes': {
    answer: body(
      `{"choices": [{"text": "${[...KEY].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"}]}`,
    ),
    code: 'endpoint',
    says: 'sends the API key back',
    tries: 1,
  },
  'the API key in base64': {
    answer: (asked, response) => json(response, said(asked, [Buffer.from(KEY).toString('base64')])),
    code: 'endpoint',
    says: 'sends the API key back',
    tries: 1,
  },
  'the API key in an error': {
    answer: body(JSON.stringify({ error: { code: KEY, message: `wrong key ${KEY}` } }), {}, 500),
    code: 'endpoint',
    says: 'sends the API key back',
    tries: 1,
  },
};

describe('what is no answer', () => {
  test.each(Object.entries(CASES))('%s', async (_, { answer, code, says, tries = 2 }) => {
    const { model, server } = await asking(then(answer), { apiKey: new Secret(KEY), timeout: 0.4 });
    const error = await failureOf(model);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
    expect(error.message).toContain(server.url);
    expect(error.fix).toBeTruthy();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    for (const secret of [KEY, PROMPT])
      expect(JSON.stringify([error.message, error.stack])).not.toContain(secret);
    expect(server.texts()).toHaveLength(tries);
  });
});

test('the API key goes to the origin it is for, and not where that sends us', async () => {
  const other = await serve(answering(() => 'thank you'));
  const there = (response: Parameters<Answer>[1]) =>
    response.writeHead(307, { location: `${other.url}/completions` }).end();
  const { model, server } = await asking((_, response) => void there(response), { apiKey: new Secret(KEY) });
  expect((await failureOf(model)).message).toContain(new URL(other.url).origin);
  expect(server.asked[0]!.headers.authorization).toBe(`Bearer ${KEY}`);
  expect(other.asked).toEqual([]);
  await other.close();
});

test('a wrong API key is found out by a harmless question: no key of a claim is put', async () => {
  const { model, server } = await asking(body('', {}, 401));
  expect((await failureOf(model, 5)).message).toContain('401');
  expect(server.texts()).toEqual([]);
  expect(server.asked).toHaveLength(1);
});

test('an answer is taken as it is: empty, long, in any script, with control characters; never asked again', async () => {
  const texts = ['', 'x'.repeat(1e5), '\u001b[31mred\u0007', 'ハリネズミ', '\ud800', 'sk-'];
  const { model, server } = await asking(
    then((asked, response) =>
      json(response, said(asked, [texts[Number(textOf(asked.body).split(' ').at(-1))]!])),
    ),
  );
  const got = await generateAll(model, requests(texts.length));
  // But for half a surrogate pair, which no UTF-8 has.
  expect(got.map(({ generated }) => generated)).toEqual(texts.with(4, '\ufffd'));
  expect(server.texts()).toHaveLength(texts.length);
});

test('failures of the transport are mended by trying again; answers stand in their places', async () => {
  const seen = new Map<string, number>();
  const trouble: Answer[] = [
    body('', { 'retry-after': '0.001' }, 429),
    body('', {}, 503),
    body('<html>'),
    (_, response) => void response.destroy(),
  ];
  const { model } = await asking(
    then((asked, response, place) => {
      const text = textOf(asked.body);
      const before = seen.get(text) ?? 0;
      seen.set(text, before + 1);
      const wrong = before < trouble.length ? trouble[(before + text.length) % trouble.length] : undefined;
      return wrong ? wrong(asked, response, place) : json(response, said(asked, [text]));
    }),
    { concurrency: 7 },
    { attempts: 5 },
  );
  const list = requests(40);
  expect((await generateAll(model, list)).map(({ generated }) => generated)).toEqual(
    list.map(({ prompt }) => prompt),
  );
});

test('Retry-After is waited for, by all requests, and nothing longer than two minutes', async () => {
  const waits: number[] = [];
  let first = true;
  const { model } = await asking(
    then((asked, response) => {
      if (first) {
        first = false;
        response.writeHead(429, { 'retry-after': '7' }).end();
      } else json(response, said(asked, ['x']));
    }),
    { concurrency: 1 },
    { sleep: async (ms) => void waits.push(ms) },
  );
  await generateAll(model, requests(2));
  expect(waits[0]).toBe(7000);
  expect(waits.slice(1).every((ms) => ms > 6000 && ms <= 7000)).toBe(true); // the clock stands still here, so all wait
  expect(waits.length).toBeGreaterThan(1);
});

test('a server that is gone ends the call after three requests, not after all', async () => {
  const { model, server } = await asking(then(body('', {}, 500)), { concurrency: 1 });
  const failed: WhorlError[] = [];
  const call = async () => {
    for await (const _ of generateEach(model, requests(50), {
      onRowError: (_, error) => failed.push(error),
    }));
  };
  await expect(call()).rejects.toMatchObject({ code: 'unreachable' });
  expect(failed).toHaveLength(2);
  expect(server.texts()).toHaveLength(3 * 2);
});

describe('budgets are never exceeded, however many are under way', () => {
  test.each([1, 4, 64])('queries, %i at a time, tries again included', async (concurrency) => {
    let place = 0;
    const { model, server } = await asking(
      then((asked, response) =>
        place++ % 2 ? json(response, said(asked, ['x'])) : void response.writeHead(500).end(),
      ),
      { concurrency, max_queries: 21 },
      { attempts: 9 },
    );
    const error = await failureOf(model, 64);
    expect(error).toMatchObject({ code: 'over-budget' });
    expect(server.asked).toHaveLength(21);
    expect(model.spent.queries).toBe(21);
  });

  test.each([1, 4, 64])(
    'tokens, %i at a time, with a template that is not in the text',
    async (concurrency) => {
      let used = 0;
      const { model } = await asking(
        (asked, response) => {
          // A token a byte, a template of 50, and all new tokens: the dearest that a server can be.
          const total_tokens = Buffer.byteLength(textOf(asked.body)) + 50 + asked.body.max_tokens;
          used += total_tokens;
          setTimeout(() => json(response, said(asked, ['x'], { usage: { total_tokens } })), 5);
        },
        { concurrency, max_tokens_total: 1000 },
      );
      expect(await failureOf(model, 64)).toMatchObject({ code: 'over-budget' });
      expect(used).toBeLessThanOrEqual(1000);
      expect(used).toBeGreaterThan(900);
      expect(model.spent.tokens).toBe(used);
    },
  );

  test('without a count of the server’s own, all that a request may take is counted', async () => {
    const { model, server } = await asking(
      (asked, response) => json(response, said(asked, ['x'], { usage: null })),
      { concurrency: 1, max_tokens_total: 100 },
    );
    expect(await failureOf(model, 64)).toMatchObject({ code: 'over-budget' });
    const bytes = server.asked.map(
      ({ body: { prompt, max_tokens } }) => Buffer.byteLength(prompt!) + max_tokens,
    );
    expect(bytes.reduce((a, b) => a + b, 0)).toBe(model.spent.tokens);
    expect(model.spent.tokens).toBeLessThanOrEqual(100);
  });

  test('money is tokens at a price', () => {
    const spec = { kind: 'endpoint', url: 'http://h/v1', model_name: 'm' } as const;
    expect(endpointSettings({ ...spec, max_cost: 0.5, price: 2 }).most.tokens).toBe(250_000);
    expect(endpointSettings({ ...spec, max_cost: 0.5, price: 2, max_tokens_total: 7 }).most.tokens).toBe(7);
    expect(() => endpointSettings({ ...spec, price: 2 })).toThrow('--max-cost');
  });
});

test('no more requests at a time than were allowed', async () => {
  let [now, most] = [0, 0];
  const { model } = await asking(
    then((asked, response) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        json(response, said(asked, ['x']));
      }, 10);
    }),
    { concurrency: 5 },
  );
  await generateAll(model, requests(30));
  expect(most).toBe(5);
});

test("the caller's signal ends what is under way", async () => {
  const stop = new AbortController();
  const { model } = await asking(
    then((_, __) => stop.abort()),
    { timeout: 60 },
  );
  await expect(
    abortable({ signal: stop.signal }, () => generateAll(model, requests(3))),
  ).rejects.toMatchObject({ code: 'aborted' });
});

test('the call is found out where it was left open', async () => {
  for (const status of [404, 405, 501]) {
    const { model, server } = await asking(
      (asked, response) =>
        asked.path === '/v1/chat/completions'
          ? json(response, said(asked, ['x']))
          : void response.writeHead(status).end(),
      { endpoint_kind: 'auto' },
    );
    expect(await model.kind()).toBe('chat');
    expect(server.texts()).toEqual([]);
    await generateAll(model, requests(2));
    expect(server.asked.map(({ path }) => path)).toEqual([
      '/v1/completions',
      ...Array(3).fill('/v1/chat/completions'),
    ]);
    expect(server.asked.at(-1)!.body.messages).toEqual([
      { role: 'user', content: expect.stringContaining(PROMPT) },
    ]);
  }
  const { model } = await asking(
    answering(() => 'x'),
    { endpoint_kind: 'auto' },
  );
  expect(await model.kind()).toBe('completions');
});

test('asked greedily, without a stream, by the name that was given', async () => {
  const { model, server } = await asking(answering(() => 'x'));
  await generateAll(model, requests(1));
  expect(server.asked.at(-1)!.body).toEqual({
    model: 'm',
    prompt: `${PROMPT} 0`,
    max_tokens: 4,
    temperature: 0,
    stream: false,
  });
});

test('log-probabilities beside the wrong tokens are not taken', () => {
  // As llama-cpp-python 0.3.36 answers for SmolLM2-135M-Instruct, which has no BOS: each token has the logits behind it.
  const shifted = {
    text_offset: [0, 3, 11, 14, 21, 24],
    token_logprobs: [
      null,
      -9.599955558776855,
      -10.462464332580566,
      -11.225584030151367,
      -11.794837951660156,
      -8.452631950378418,
    ],
    top_logprobs: [
      null,
      { ' of': -0.41 },
      { ' the': -1.98 },
      { ' is': -0.43 },
      { ' Paris': -0.26 },
      { '.': -0.37 },
    ],
  };
  const row = { context: 'The capital of France is', continuation: ' Paris' };
  const scored = (logprobs: object) => scoreIn(row, { choices: [{ logprobs }] });
  expect(() => scored(shifted)).toThrow('beside the wrong tokens');
  // The same figures where they belong, and the token that was chosen.
  const right = {
    text_offset: [...shifted.text_offset, 30],
    token_logprobs: [null, -3.1, -0.41, -4, -0.43, -0.26, -0.37],
    top_logprobs: [
      null,
      ...[
        { a: -2 },
        { ' of': -0.41 },
        { ' the': -1.98 },
        { ' is': -0.43 },
        { ' Paris': -0.26 },
        { '.': -0.37 },
      ],
    ],
  };
  expect(scored(right)).toEqual({ logprob: -0.26, tokens: 1, greedy: true });
  expect(() => scored({ ...right, top_logprobs: right.top_logprobs.with(6, { a: -0.1 }) })).toThrow(
    'wrong tokens',
  );
  expect(() => scored({ ...right, text_offset: [0, 3, 11, 14, 20, 25, 30] })).toThrow(
    'no token of the server begins',
  );
});

describe('addresses and keys that nothing can be asked with', () => {
  const spec = (url: string): EndpointSpec => ({ kind: 'endpoint', url, model_name: 'm' });
  test.each([
    ['http://', '--suspect is no address'],
    ['ftp://host/v1', 'begins with ftp:'],
    ['https://me:canary@host/v1', 'user name or password for host'],
    ['https://host/v1?key=canary', 'goes on after its path'],
    ['https://host/v1/chat/completions', 'give https://host/v1'],
  ])('%s', async (url, says) => {
    const error = await EndpointModel.open(spec(url)).then(
      () => new Error('opened'),
      (cause: Error) => cause,
    );
    expect(error).toMatchObject({ code: 'usage' });
    expect(error.message).toContain(says);
    expect(error.message).not.toContain('canary');
  });

  test('a key that would go over the net in clear, or that is no header', async () => {
    const apiKey = new Secret(KEY);
    await expect(EndpointModel.open({ ...spec('http://192.0.2.1/v1'), apiKey })).rejects.toThrow('in clear');
    await expect(
      EndpointModel.open({ ...spec('https://192.0.2.1/v1'), apiKey: new Secret('a\nb') }),
    ).rejects.toThrow('holds characters');
  });

  test('the variable is named, never its value', () => {
    expect(apiKeyFrom('MY_KEY', { MY_KEY: ` ${KEY}\n` }).reveal()).toBe(KEY);
    expect(() => apiKeyFrom('MY_KEY', {})).toThrow('MY_KEY is not set');
    for (const wrong of [KEY, 'sk_live_abc', 'hf_abcdefgh'])
      expect(() => apiKeyFrom(wrong, {})).toThrow(/^--api-key-env is no name of a variable/);
  });
});
