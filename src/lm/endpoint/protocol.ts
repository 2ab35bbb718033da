// What the two calls of an OpenAI-compatible server take and give, as values: a request becomes a body, an answer's JSON
// becomes texts. Everything of an answer is checked; members that are not read may be anything.

import { z } from 'zod';
import { WhorlError } from '../../base/error.ts';
import type { GenerateRequest } from '../language-model.ts';
import { fullSampling } from '../sampling.ts';
import { stopAt } from '../stop.ts';
import type { EndpointKind } from './settings.ts';

/** What a server said, as far as it is kept. */
export interface Reply {
  /** One a sample, cut before the first stop string. */
  readonly texts: readonly string[];
  /** The name that the server gives its model; empty where it gives none. */
  readonly model: string;
  /** Tokens of prompt and answer as the server counts them; null where it does not. */
  readonly tokens: number | null;
  /** Of a kept one: SHA-256 of the TLS certificates (DER) that stood at the other end by then. */
  readonly peers?: readonly string[] | undefined;
}

export interface Protocol {
  /** Below the base address. */
  readonly path: string;
  body(request: GenerateRequest): object;
  /** @throws WhorlError of what is missing or of a wrong kind, in words that go on "answers with …" */
  texts(answer: Readonly<Record<string, unknown>>): { index: number; text: string }[];
}

/** Servers of OpenAI's line take four at most; all are looked for here in any case. */
const MOST_STOPS = 4;
/** Characters of one text: a certificate holds no longer one. */
const MAX_TEXT = 1 << 20;
const MAX_NAME = 256;

/** What a request cannot be put as; this row alone fails. */
const cannot = (what: string, fix: string): WhorlError => new WhorlError('unsupported', what, fix);

function settingsOf(request: GenerateRequest): object {
  const { max_new_tokens, num_samples = 1, stop = [] } = request;
  for (const [name, value] of Object.entries({ max_new_tokens, num_samples }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new WhorlError('usage', `${name} is ${value}`, 'give a whole number from 1');
  if (stop.includes(''))
    throw new WhorlError('usage', 'a stop string is empty', 'give at least one character');
  const { temperature, top_k, top_p, repetition_penalty, seed } = fullSampling(request.sampling);
  if (top_k !== 0 || repetition_penalty !== 1)
    throw cannot('a server takes neither top_k nor repetition_penalty', 'leave them out');
  return {
    max_tokens: max_new_tokens,
    temperature,
    stream: false,
    ...(temperature > 0 && { top_p, seed }),
    ...(num_samples > 1 && { n: num_samples }),
    ...(stop.length > 0 && stop.length <= MOST_STOPS && { stop }),
  };
}

const choices = <T extends z.ZodType>(one: T) => z.object({ choices: z.array(one).min(1).max(1024) });
const index = z.int().min(0).max(1023).optional();
/** Half a surrogate pair is no text in UTF-8, and nothing that hashes texts takes it: it becomes U+FFFD, as in every writer of UTF-8. */
const wellFormed = (said: string): string => said.replace(/\p{Surrogate}/gu, '\ufffd');
const text = z.string().max(MAX_TEXT).transform(wellFormed);
const completion = choices(z.object({ index, text }));
const chat = choices(z.object({ index, message: z.object({ content: text }) }));
const around = z.object({ model: z.unknown(), usage: z.unknown() });
const usage = z.object({
  total_tokens: z
    .int()
    .min(0)
    .max(2 ** 40),
});

/** The first thing wrong, without any of the answer's own words. */
function checked<T extends z.ZodType>(schema: T, answer: unknown): z.output<T> {
  const read = schema.safeParse(answer);
  if (read.success) return read.data;
  const { path, code } = read.error.issues[0]!;
  const where = path.map((step) => (typeof step === 'number' ? `[${step}]` : String(step))).join('.');
  throw new WhorlError(
    'endpoint',
    code === 'invalid_type' ? `no ${where} of the kind it must be` : `a ${where} that cannot be`,
  );
}

export const PROTOCOLS: Readonly<Record<EndpointKind, Protocol>> = {
  completions: {
    path: '/completions',
    body(request) {
      if (request.messages)
        throw cannot('a conversation cannot be put as a completion', 'ask with --endpoint-kind chat');
      if (request.add_special_tokens === false)
        throw cannot('a server adds its own special tokens to a text', 'let it write its own chat template');
      return { prompt: request.prompt, ...settingsOf(request) };
    },
    texts: (answer) =>
      checked(completion, answer).choices.map(({ index: at, text: said }, place) => ({
        index: at ?? place,
        text: said,
      })),
  },
  chat: {
    path: '/chat/completions',
    body(request) {
      if (!request.messages && request.add_special_tokens === false)
        throw cannot('a text under a template of its own cannot be put as a conversation', 'give its turns');
      const messages = request.messages ?? [{ role: 'user', content: request.prompt }];
      return { messages, ...settingsOf(request) };
    },
    texts: (answer) =>
      checked(chat, answer).choices.map(({ index: at, message }, place) => ({
        index: at ?? place,
        text: message.content,
      })),
  },
};

/** @throws WhorlError as `Protocol.texts` */
export function replyOf(
  protocol: Protocol,
  { num_samples = 1, stop = [] }: GenerateRequest,
  answer: Readonly<Record<string, unknown>>,
): Reply {
  const texts = protocol.texts(answer).sort((a, b) => a.index - b.index);
  if (texts.length !== num_samples || texts.some(({ index: at }, place) => at !== place))
    throw new WhorlError(
      'endpoint',
      `${texts.length} choices out of their numbers, where ${num_samples} were asked for`,
    );
  const { model, usage: used } = around.parse(answer);
  return {
    texts: texts.map(({ text: said }) => {
      const at = stopAt(said, stop);
      return at < 0 ? said : said.slice(0, at);
    }),
    model: typeof model === 'string' ? wellFormed(model.slice(0, MAX_NAME)) : '',
    tokens: usage.safeParse(used).data?.total_tokens ?? null,
  };
}
