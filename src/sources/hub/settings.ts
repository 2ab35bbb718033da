// Where the hub is, who asks, and where its files are kept: the environment variables of Python's huggingface_hub.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';

export interface HubSettings {
  readonly endpoint: URL;
  /** Sent to the endpoint's own origin and nowhere else. */
  readonly token: Secret<string> | undefined;
  /** Absolute; what Python calls HF_HUB_CACHE. */
  readonly cache: string;
  /** Nothing is asked of the network. */
  readonly offline: boolean;
  /** Of which HTTP(S)_PROXY, ALL_PROXY and NO_PROXY are read. */
  readonly env: Environment;
  /** Milliseconds: to connect, until an answer begins, between two pieces of it. */
  readonly timeouts: { readonly connect: number; readonly headers: number; readonly idle: number };
  /** Tries without a new byte before giving up. */
  readonly attempts: number;
  readonly sleep: (ms: number) => Promise<void>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const ENDPOINT = 'https://huggingface.co';
const SECOND = 1000;

/** Reads the environment. Throws `usage` for an endpoint that is no address. */
export function hubSettings(env: Environment = process.env): HubSettings {
  const home =
    expanded(env.HF_HOME, env) ?? join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  const cache = expanded(env.HF_HUB_CACHE ?? env.HUGGINGFACE_HUB_CACHE, env) ?? join(home, 'hub');
  return {
    endpoint: endpointOf(env.HF_ENDPOINT || ENDPOINT),
    token: tokenOf(env, home),
    cache: resolve(cache),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    env,
    timeouts: {
      connect: 10 * SECOND,
      headers: seconds(env.HF_HUB_ETAG_TIMEOUT) ?? 30 * SECOND,
      idle: seconds(env.HF_HUB_DOWNLOAD_TIMEOUT) ?? 30 * SECOND,
    },
    attempts: 4,
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
  };
}

function endpointOf(text: string): URL {
  const fix = 'give the address of a hub, such as https://huggingface.co';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new WhorlError('usage', 'HF_ENDPOINT is no address', fix);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new WhorlError('usage', `HF_ENDPOINT begins with ${url.protocol}`, fix);
  if (url.username || url.password)
    throw new WhorlError('usage', 'HF_ENDPOINT holds a user name or password', 'put the token into HF_TOKEN');
  return new URL(url.origin + url.pathname.replace(/\/+$/, ''));
}

function tokenOf(env: Environment, home: string): Secret<string> | undefined {
  const given = env.HF_TOKEN ?? env.HUGGING_FACE_HUB_TOKEN;
  const implicit = !isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN);
  const text = (
    given ?? (implicit ? tokenFile(expanded(env.HF_TOKEN_PATH, env) ?? join(home, 'token')) : '')
  ).trim();
  if (text === '') return undefined;
  // A header cannot hold anything else; said here because the engine's own message would show the token.
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new WhorlError('usage', 'the hub token holds characters that no token has', 'check HF_TOKEN');
  return new Secret(text);
}

function tokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not logged in
  }
}

const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');

function seconds(value: string | undefined): number | undefined {
  const number = Number(value);
  return value !== undefined && number > 0 && number <= 3600 ? number * SECOND : undefined;
}

/** `~`, `$NAME` and `${NAME}`, as Python's expanduser and expandvars. */
function expanded(path: string | undefined, env: Environment): string | undefined {
  if (!path) return undefined;
  return path
    .replace(/^~(?=$|[/\\])/, homedir())
    .replace(
      /\$(?:(\w+)|\{(\w+)\})/g,
      (whole, bare?: string, braced?: string) => env[(bare ?? braced)!] ?? whole,
    );
}
