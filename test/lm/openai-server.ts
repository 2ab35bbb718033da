// A small OpenAI-compatible server on loopback, for tests: over a local model, or with answers that a test makes up.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LocalModel } from '../../src/lm/local-model.ts';
import type { ChatMessage } from '../../src/text/prompts/chat-template.ts';

export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: {
    readonly model: string;
    readonly prompt?: string;
    readonly messages?: readonly ChatMessage[];
    readonly max_tokens: number;
    readonly temperature: number;
    readonly n?: number;
    readonly stop?: readonly string[];
    readonly echo?: boolean;
    readonly logprobs?: number;
  };
}

export interface Server {
  /** With `/v1`. */
  readonly url: string;
  /** Everything that was asked, in order of arrival. */
  readonly asked: Asked[];
  /** Texts of keys: what came but for the harmless first question. */
  readonly texts: () => string[];
  close(): Promise<void>;
}

export type Answer = (asked: Asked, response: ServerResponse, place: number) => void | Promise<void>;

export async function serve(
  answer: Answer,
  make: (listener: RequestListener) => ReturnType<typeof createServer> = (listener) => createServer(listener),
): Promise<Server> {
  const asked: Asked[] = [];
  const server = make((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const one = {
        path: request.url!,
        headers: request.headers,
        body: JSON.parse(Buffer.concat(parts).toString('utf8')) as Asked['body'],
      };
      asked.push(one);
      response.on('error', () => {});
      Promise.resolve(answer(one, response, asked.length - 1)).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    texts: () => asked.map(({ body }) => textOf(body)).filter((text) => text !== 'Hello'),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const textOf = ({ prompt, messages }: Asked['body']): string => prompt ?? messages!.at(-1)!.content;

export const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

/** An answer as vLLM gives it, for either call. */
export function said({ path, body }: Asked, texts: readonly string[], more: object = {}): object {
  const chat = path.endsWith('/chat/completions');
  return {
    id: 'cmpl-1',
    object: chat ? 'chat.completion' : 'text_completion',
    model: body.model,
    choices: texts.map((text, index) => ({
      index,
      finish_reason: 'length',
      ...(chat ? { message: { role: 'assistant', content: text } } : { text }),
    })),
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    ...more,
  };
}

/** Answers each text by a function, as a server that goes well. */
export const answering =
  (answer: (text: string) => string): Answer =>
  (asked, response) =>
    json(response, said(asked, [answer(textOf(asked.body))]));

/** A local model behind both calls; one request at a time. */
export function over(model: LocalModel): Answer {
  let before: Promise<unknown> = Promise.resolve();
  return (asked, response) => {
    const { body } = asked;
    const work = async (): Promise<void> => {
      if (body.echo) return json(response, await echoed(model, asked));
      const { max_tokens, temperature, n = 1, stop } = body;
      const question = body.messages ? { messages: body.messages } : { prompt: body.prompt! };
      const asking = {
        ...question,
        max_new_tokens: max_tokens,
        num_samples: n,
        sampling: { temperature },
        ...(stop && { stop }),
      };
      const texts: string[] = [];
      for await (const row of model.generateRows([asking])) {
        if ('error' in row)
          return json(
            response,
            { error: { message: row.error.message, code: 'context_length_exceeded' } },
            400,
          );
        texts[row.index] = row.generation.generated;
      }
      json(response, said(asked, texts));
    };
    const done = before.then(work);
    before = done.catch(() => {});
    return done;
  };
}

/** Log-probabilities of the prompt, character by character: for models whose tokens are characters. */
async function echoed(model: LocalModel, asked: Asked): Promise<object> {
  const text = asked.body.prompt!;
  // Of ever longer beginnings, each less the one before: a context that ends in a space is split otherwise.
  const rows = Array.from({ length: text.length - 1 }, (_, i) => ({
    context: text[0]!,
    continuation: text.slice(1, i + 2),
  }));
  const sums: { logprob: number; greedy: boolean }[] = [];
  for await (const { index, score } of model.score(rows)) sums[index] = score;
  const scores = sums.map(({ logprob, greedy }, i) => ({
    logprob: logprob - (sums[i - 1]?.logprob ?? 0),
    greedy,
  }));
  const logprobs = {
    tokens: [...text, '!'],
    text_offset: [...text, '!'].map((_, i) => i),
    token_logprobs: [null, ...scores.map(({ logprob }) => logprob), -1],
    top_logprobs: [
      null,
      ...scores.map(({ logprob, greedy }) => ({ a: greedy ? logprob : logprob / 2, b: logprob })),
      { a: -1 },
    ],
  };
  return said(asked, [], { choices: [{ index: 0, text: `${text}!`, logprobs }] });
}
