// What every client of a server nobody vouches for does in the same way: bodies bounded while they come, waits read, silences
// put into words. Where requests go, and what is tried again, is each client's own.

import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { WhorlError } from './error.ts';

type Body = Dispatcher.ResponseData['body'];

/** By the code or the name of what a connection throws; goes on "HOST …". */
export const CONNECTION_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  ENOTFOUND: 'is not known to the name server',
  EAI_AGAIN: 'is not known to the name server',
  UND_ERR_CONNECT_TIMEOUT: 'does not answer',
  UND_ERR_SOCKET: 'closes the connection',
  ECONNRESET: 'closes the connection',
  EPIPE: 'closes the connection',
};

/** Reads no more of an answer. Its stream then reports an error that nobody else would hear. */
export function drop(body: Body): void {
  body.on('error', () => {});
  body.destroy();
}

/** What comes, up to the piece that makes it more than `most` bytes; the rest is left. */
export async function collect(body: Body, most: number): Promise<{ bytes: Buffer; isWhole: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    if ((size += part.length) > most) break;
  }
  const isWhole = size <= most;
  if (!isWhole) drop(body);
  return { bytes: Buffer.concat(parts), isWhole };
}

/** A Retry-After header, seconds or a date, as milliseconds. */
export function retryAfter(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const PROXY_KINDS: ReadonlySet<string> = new Set(['http:', 'https:', 'socks5:', 'socks:']);

/**
 * The proxy that an environment names, in curl's and Python's variables; undefined: none. What stands in them may hold a password, and
 * is never shown.
 * @throws WhorlError `usage` for a variable that names no proxy
 */
export function proxyOf(env: Readonly<Record<string, string | undefined>>): Dispatcher | undefined {
  const read = (scheme: 'http' | 'https'): string => {
    const names = [`${scheme}_proxy`, `${scheme}_proxy`.toUpperCase(), 'all_proxy', 'ALL_PROXY'];
    const name = names.find((one) => env[one]);
    if (name === undefined) return '';
    const url = URL.canParse(env[name]!) ? new URL(env[name]!) : undefined;
    if (url === undefined || url.hostname === '' || !PROXY_KINDS.has(url.protocol))
      throw new WhorlError(
        'usage',
        `${name} is no address of a proxy`,
        'write http://HOST:PORT (or https://, socks5://), or unset it',
      );
    return url.href;
  };
  const [httpProxy, httpsProxy] = [read('http'), read('https')];
  if (httpProxy === '' && httpsProxy === '') return undefined;
  return new EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: env.no_proxy ?? env.NO_PROXY ?? '' });
}

/** What to look at where a connection fails: behind a proxy it is the proxy that may be silent. */
export const networkToCheck = (env: Readonly<Record<string, string | undefined>>): string => {
  const name = ['https_proxy', 'http_proxy', 'all_proxy']
    .flatMap((one) => [one, one.toUpperCase()])
    .find((one) => env[one]);
  return name === undefined ? 'check the network' : `check the network, and the proxy that ${name} names`;
};
