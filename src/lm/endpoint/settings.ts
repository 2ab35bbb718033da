// A server that answers over HTTP, as a value: where it is, what it is to be called with, and how much of it may be used.

import { WhorlError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';

/** The two ways of an OpenAI-compatible server: a text is gone on with, or a conversation is answered. */
export type EndpointKind = 'chat' | 'completions';

export interface EndpointSpec {
  readonly kind: 'endpoint';
  /** Up to and with `/v1`. */
  readonly url: string;
  /** The model's name at that server. */
  readonly model_name: string;
  /** Default `auto`: completions where the server has it, else chat. */
  readonly endpoint_kind?: EndpointKind | 'auto';
  /** Goes to the origin of `url` and nowhere else. */
  readonly apiKey?: Secret<string>;
  /** Requests under way at a time; default 8. */
  readonly concurrency?: number;
  /** Seconds from sending a request to the last byte of its answer; default 120. */
  readonly timeout?: number;
  /** Most requests, failed ones and tries again included. */
  readonly max_queries?: number;
  /** Most tokens of prompts and answers together. */
  readonly max_tokens_total?: number;
  /** Most that may be spent, in the currency of `price`, and what a million tokens cost. */
  readonly max_cost?: number;
  readonly price?: number;
}

/** What is more than a user needs to say; tests and benchmarks do. */
export interface EndpointTuning {
  /** Tries of one request; default 8. */
  readonly attempts?: number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** Certificates to trust beside the system's, in PEM. */
  readonly ca?: string;
}

/** A spec with everything said. */
export interface EndpointSettings {
  /** Without a slash at its end. */
  readonly base: URL;
  /** For people: origin and path. */
  readonly name: string;
  readonly model_name: string;
  readonly kind: EndpointKind | 'auto';
  readonly apiKey: Secret<string> | undefined;
  readonly concurrency: number;
  readonly timeout_ms: number;
  readonly most: { readonly queries: number; readonly tokens: number };
  readonly attempts: number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly ca: string | undefined;
}

const MAX_CONCURRENCY = 1024;

/** Whether a suspect is named as a server and not as a model's folder, file or id. */
export const isAddress = (name: string): boolean => /^https?:\/\//i.test(name);

/** @throws WhorlError `usage` for what no request can be made of; nothing is sent */
export function endpointSettings(spec: EndpointSpec, tuning: EndpointTuning = {}): EndpointSettings {
  const base = addressOf(spec.url);
  const { model_name, apiKey, concurrency = 8, timeout = 120 } = spec;
  if (model_name === '') throw new WhorlError('usage', '--model-name is empty', 'give the name of the model');
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY))
    throw new WhorlError(
      'usage',
      `--concurrency ${concurrency}`,
      `give a whole number from 1 to ${MAX_CONCURRENCY}`,
    );
  if (!(timeout > 0 && timeout <= 3600))
    throw new WhorlError('usage', `--timeout ${timeout}`, 'give seconds, above 0 and at most 3600');
  // A header cannot hold anything else; said here because the engine's own message would show the key.
  if (apiKey && !/^[\x21-\x7e]+$/.test(apiKey.reveal()))
    throw new WhorlError(
      'usage',
      'the API key holds characters that no key has',
      'check the variable of --api-key-env',
    );
  return {
    base,
    name: base.origin + base.pathname.replace(/^\/$/, ''),
    model_name,
    kind: spec.endpoint_kind ?? 'auto',
    apiKey,
    concurrency,
    timeout_ms: timeout * 1000,
    most: { queries: count('--max-queries', spec.max_queries), tokens: mostTokens(spec) },
    attempts: tuning.attempts ?? 8,
    sleep: tuning.sleep ?? ((ms) => new Promise((done) => setTimeout(done, ms))),
    ca: tuning.ca,
  };
}

function count(flag: string, value: number | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (!(Number.isSafeInteger(value) && value >= 1))
    throw new WhorlError('usage', `${flag} ${value}`, 'give a whole number from 1');
  return value;
}

/** A money budget is one of tokens, at the dearest price that was said. */
function mostTokens({ max_tokens_total, max_cost, price }: EndpointSpec): number {
  const tokens = count('--max-tokens-total', max_tokens_total);
  if (max_cost === undefined && price === undefined) return tokens;
  if (max_cost === undefined || price === undefined)
    throw new WhorlError('usage', '--max-cost and --price go together', 'give both');
  if (!(max_cost > 0 && price > 0 && Number.isFinite(max_cost) && Number.isFinite(price)))
    throw new WhorlError('usage', `--max-cost ${max_cost} at --price ${price}`, 'give numbers above 0');
  return Math.min(tokens, Math.floor((max_cost / price) * 1e6));
}

function addressOf(text: string): URL {
  const fix = 'give the address of its API, such as https://host/v1';
  if (!URL.canParse(text)) throw new WhorlError('usage', '--suspect is no address that can be asked', fix);
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new WhorlError('usage', `--suspect begins with ${url.protocol}`, fix);
  if (url.username || url.password)
    throw new WhorlError(
      'usage',
      `--suspect holds a user name or password for ${url.host}`,
      'name a variable that holds the key with --api-key-env',
    );
  if (url.search || url.hash)
    throw new WhorlError('usage', `--suspect ${url.origin}${url.pathname} goes on after its path`, fix);
  const path = url.pathname.replace(/\/+$/, '');
  const called = /\/(?:chat\/)?completions$/.exec(path);
  if (called)
    throw new WhorlError(
      'usage',
      `--suspect ${url.origin}${path} names one call of the API`,
      `give ${url.origin}${path.slice(0, called.index)}`,
    );
  return new URL(url.origin + path);
}

/** The key that a variable of the environment holds. @throws WhorlError `usage` where it does not */
export function apiKeyFrom(
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Secret<string> {
  // Whoever gives the key itself by mistake must not read it in an error message.
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name) || /^(?:sk|hf|gsk|xai)[-_]/.test(name))
    throw new WhorlError(
      'usage',
      '--api-key-env is no name of a variable',
      'give the name of the environment variable that holds the key, never the key itself',
    );
  const value = env[name]?.trim();
  if (!value)
    throw new WhorlError(
      'usage',
      `--api-key-env: ${name} is not set`,
      'set it in the environment of this command',
    );
  return new Secret(value);
}
