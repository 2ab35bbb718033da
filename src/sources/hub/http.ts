// Requests to the hub: redirects followed by hand, so that the token stays at the hub's own origin and no answer can
// send us to a private address, down to http or round in circles; bounded waits and bounded tries.

import type { IncomingHttpHeaders } from 'node:http';
import { Agent, type Dispatcher, request } from 'undici';
import { checkAborted, currentSignal, untilAborted } from '../../base/abort.ts';
import { WhorlError } from '../../base/error.ts';
import { collect, drop, proxyOf, retryAfter } from '../../base/http.ts';
import { parseStrictJson } from '../strict-json.ts';
import {
  isPrivateAddress,
  isPrivateHost,
  literalAddress,
  PRIVATE_ADDRESS,
  publicLookup,
} from './addresses.ts';
import { connectionError, statusError } from './failures.ts';
import type { HubSettings } from './settings.ts';

const MAX_REDIRECTS = 5;
const MAX_JSON = 32 << 20; // a page of a listing has a thousand files and 1 MB at most
const JSON_MS = 120_000;
const MAX_WAIT = 60_000; // a Retry-After above this is an error, not a wait
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const TRANSIENT: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Headers of the last answer that came from the hub itself, before it sent us elsewhere. */
  readonly own: IncomingHttpHeaders;
  readonly body: Dispatcher.ResponseData['body'];
}

/** What another try may mend; `error` is thrown when there is none left. */
export class Transient extends Error {
  constructor(
    readonly error: WhorlError,
    readonly wait?: number,
  ) {
    super(error.message);
  }
}

export class HubHttp {
  readonly #settings: HubSettings;
  readonly #own: Dispatcher;
  readonly #foreign: Dispatcher;
  #endpointIsPrivate: Promise<boolean> | undefined;

  constructor(settings: HubSettings) {
    this.#settings = settings;
    const { connect: timeout } = settings.timeouts;
    const proxy = proxyOf(settings.env);
    this.#own = proxy ?? new Agent({ connect: { timeout } });
    // Behind a proxy it is the proxy that looks names up and connects.
    this.#foreign = proxy ?? new Agent({ connect: { timeout, lookup: publicLookup } });
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.destroy(), this.#foreign.destroy()]);
  }

  /** An address under the endpoint. */
  url(path: string): URL {
    const { endpoint } = this.#settings;
    return new URL(endpoint.href.replace(/\/$/, '') + path);
  }

  /** JSON from the hub itself, with the address of the next page where there is one. `what` is asked for, in words. */
  async json(url: URL, what: string): Promise<{ value: unknown; next: URL | undefined }> {
    return this.persist(async () => {
      const signal = AbortSignal.timeout(JSON_MS);
      const { headers, body } = await this.get(url, what, { accept: 'application/json' }, signal);
      const bytes = await this.#collect(body, what);
      let value: unknown;
      try {
        value = parseStrictJson(bytes, what);
      } catch (cause) {
        const page = /html/i.test(String(headers['content-type'])) ? 'a web page' : 'something else';
        throw new WhorlError(
          'hub',
          `${what}: ${this.#settings.endpoint.host} answers with ${page} where JSON belongs`,
          'check HF_ENDPOINT, and whether a proxy or a login page stands in between',
          { cause },
        );
      }
      return { value, next: this.#nextPage(headers.link, url) };
    });
  }

  /** One try at a GET that follows redirects. Throws `Transient` for what may pass, a WhorlError for what will not. */
  async get(url: URL, what: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Answer> {
    const { endpoint, token } = this.#settings;
    const seen = new Set<string>();
    let own: IncomingHttpHeaders = {};
    for (let at = url; ; ) {
      if (seen.has(at.href)) throw redirectError(what, `in a circle, back to ${at.host}`);
      if (seen.size > MAX_REDIRECTS) throw redirectError(what, `more than ${MAX_REDIRECTS} times`);
      seen.add(at.href);
      const home = at.origin === endpoint.origin;
      const answer = await this.#ask(
        at,
        what,
        home,
        {
          ...headers,
          'accept-encoding': 'identity',
          'user-agent': 'whorl',
          ...(home && token && { authorization: `Bearer ${token.reveal()}` }),
        },
        signal,
      );
      if (home) own = answer.headers;
      if (!REDIRECTS.has(answer.statusCode)) return this.#accepted(answer, own, what);
      drop(answer.body);
      at = await this.#target(at, answer.headers.location, what);
    }
  }

  /** Tries until it goes well, a limit is reached, or an error comes that no try will mend. */
  async persist<T>(run: () => Promise<T>, progressed: () => boolean = () => false): Promise<T> {
    const { attempts, sleep } = this.#settings;
    for (let left = attempts - 1, wait = 300; ; left--, wait *= 2)
      try {
        return await run();
      } catch (cause) {
        checkAborted();
        if (!(cause instanceof Transient)) throw cause;
        if (progressed()) [left, wait] = [attempts - 1, 300];
        if (left <= 0 || (cause.wait ?? 0) > MAX_WAIT) throw cause.error;
        await untilAborted(sleep(cause.wait ?? wait));
      }
  }

  async #ask(
    url: URL,
    what: string,
    home: boolean,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Dispatcher.ResponseData> {
    const { headers: headersTimeout, idle: bodyTimeout } = this.#settings.timeouts;
    const signals = [signal, currentSignal()].filter((one) => one !== undefined);
    const dispatcher = home || (await this.#standsInPrivate()) ? this.#own : this.#foreign;
    try {
      return await request(url, {
        dispatcher,
        headers,
        headersTimeout,
        bodyTimeout,
        ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
      });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === PRIVATE_ADDRESS)
        throw redirectError(what, `to ${url.host}, which has a private address`);
      throw new Transient(connectionError(what, url.host, cause, this.#settings));
    }
  }

  async #accepted(answer: Dispatcher.ResponseData, own: IncomingHttpHeaders, what: string): Promise<Answer> {
    const { statusCode: status, headers, body } = answer;
    const encoding = headers['content-encoding'];
    if (status === 200 || status === 206) {
      if (encoding === undefined || encoding === 'identity') return { status, headers, own, body };
      drop(body);
      throw new WhorlError(
        'hub',
        `${what} comes compressed (${String(encoding).slice(0, 20)}) though nobody asked`,
      );
    }
    drop(body);
    const error = statusError(what, status, String(headers['x-error-code'] ?? ''), this.#settings);
    if (TRANSIENT.has(status)) throw new Transient(error, retryAfter(headers['retry-after']));
    throw error;
  }

  async #target(from: URL, location: unknown, what: string): Promise<URL> {
    const to = this.redirected(from, location, what);
    const literal = literalAddress(to.hostname);
    if (to.origin !== this.#settings.endpoint.origin && literal !== undefined && isPrivateAddress(literal))
      if (!(await this.#standsInPrivate()))
        throw redirectError(what, `to ${to.host}, which is a private address`);
    return to;
  }

  /** Where a redirect leads, by its words alone. Throws `hub` for what is never followed. */
  redirected(from: URL, location: unknown, what: string): URL {
    let to: URL;
    try {
      to = new URL(String(location), from);
    } catch {
      throw redirectError(what, 'to something that is no address');
    }
    if (to.protocol !== 'https:' && to.protocol !== 'http:') throw redirectError(what, `to ${to.protocol}`);
    if (from.protocol === 'https:' && to.protocol === 'http:')
      throw redirectError(what, `from https down to http at ${to.host}`);
    if (to.username || to.password) throw redirectError(what, 'to an address with a user name in it');
    return to;
  }

  /** A hub that the user runs in a private network may send us about in it. */
  #standsInPrivate(): Promise<boolean> {
    this.#endpointIsPrivate ??= isPrivateHost(this.#settings.endpoint.hostname);
    return this.#endpointIsPrivate;
  }

  async #collect(body: Dispatcher.ResponseData['body'], what: string): Promise<Uint8Array> {
    const { bytes, isWhole } = await collect(body, MAX_JSON).catch((cause: unknown) => {
      throw new Transient(connectionError(what, this.#settings.endpoint.host, cause, this.#settings));
    });
    if (!isWhole) throw new WhorlError('hub', `${what}: the answer has more than ${MAX_JSON} bytes`);
    return bytes;
  }

  /** `<address>; rel="next"`, on the hub's own origin only: it is asked with the token. */
  #nextPage(link: unknown, from: URL): URL | undefined {
    const next = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(String(link ?? ''))?.[1];
    if (next === undefined || !URL.canParse(next, from.href)) return undefined;
    const url = new URL(next, from);
    return url.origin === from.origin ? url : undefined;
  }
}

const redirectError = (what: string, where: string): WhorlError =>
  new WhorlError('hub', `${what}: the hub redirects ${where}`, 'nothing was sent there; check HF_ENDPOINT');
