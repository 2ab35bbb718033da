// One request to a server nobody vouches for: to the configured origin only, no redirect followed, the whole exchange under
// one deadline, the body bounded while it streams. What comes back is a JSON object, or one failure.

import type { TLSSocket } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { checkAborted } from '../../base/abort.ts';
import { collect, drop, retryAfter } from '../../base/http.ts';
import { isDeeper, jsonOrNothing } from '../../base/json.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { parseStrictJson } from '../../sources/strict-json.ts';
import {
  connectionFailure,
  echoesKey,
  RequestFailure,
  redirected,
  statusFailure,
  unreadable,
} from './failures.ts';
import type { EndpointSettings } from './settings.ts';

/** Nesting of an answer: those of servers that we know have 6. */
const MAX_DEPTH = 64;
const MAX_ERROR_BODY = 1 << 16;
const MAX_HEADERS = 1 << 16;
const CONNECT_MS = 10_000;
/** Servers without keys are called with `EMPTY` or `ollama`, words that their answers may hold. */
const SHORTEST_KEY = 8;

export class EndpointHttp {
  readonly #settings: EndpointSettings;
  readonly #agent: Agent;
  readonly #peers = new Set<string>();

  constructor(settings: EndpointSettings) {
    this.#settings = settings;
    const connect = buildConnector({
      timeout: Math.min(CONNECT_MS, settings.timeout_ms),
      ...(settings.ca !== undefined && { ca: settings.ca }),
    });
    this.#agent = new Agent({
      connections: settings.concurrency,
      maxHeaderSize: MAX_HEADERS,
      connect: (options, callback) =>
        connect(options, (...result) => {
          const [error, socket] = result;
          if (!error && socket && 'getPeerCertificate' in socket) this.#note(socket as TLSSocket);
          callback(...result);
        }),
    });
  }

  /** SHA-256 of the certificates (DER) that stood at the other end, ascending; none without TLS. */
  get peers(): string[] {
    return [...this.#peers].sort();
  }

  #note(socket: TLSSocket): void {
    const { raw } = socket.getPeerCertificate();
    if (raw) this.#peers.add(sha256Hex(raw));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * @param path below the base address
   * @param most bytes of the answer
   * @throws RequestFailure for whatever is no JSON object, and `aborted`
   */
  async post(
    path: string,
    body: object,
    most: number,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> {
    const { base, name, apiKey, timeout_ms } = this.#settings;
    const deadline = AbortSignal.timeout(timeout_ms);
    const both = AbortSignal.any([deadline, signal]);
    try {
      const answer = await request(base.href.replace(/\/$/, '') + path, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          'content-type': 'application/json',
          'user-agent': 'whorl',
          ...(apiKey && { authorization: `Bearer ${apiKey.reveal()}` }),
        },
        body: JSON.stringify(body),
        // The deadline is one for all of it: bytes that drip must not begin it anew.
        headersTimeout: 0,
        bodyTimeout: 0,
        signal: both,
      });
      return await this.#read(answer, most);
    } catch (cause) {
      checkAborted();
      if (cause instanceof RequestFailure) throw cause;
      throw connectionFailure(name, deadline.aborted ? deadline.reason : cause);
    }
  }

  async #read(
    { statusCode, headers, body }: Dispatcher.ResponseData,
    most: number,
  ): Promise<Record<string, unknown>> {
    const { name } = this.#settings;
    if (statusCode >= 300 && statusCode < 400) {
      drop(body);
      throw redirected(name, statusCode, whereTo(this.#settings.base, headers.location));
    }
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      drop(body);
      throw unreadable(name, 'a compressed body, though nobody asked for one');
    }
    const ok = statusCode === 200;
    const text = await this.#collect(body, ok ? most : MAX_ERROR_BODY, ok);
    this.#refuseEcho(text);
    if (!ok) throw statusFailure(name, statusCode, codeIn(text), retryAfter(headers['retry-after']));
    if (isDeeper(text, MAX_DEPTH)) throw unreadable(name, 'JSON nested without end');
    let value: unknown;
    let again: Buffer;
    try {
      value = parseStrictJson(text, 'the answer');
      again = Buffer.from(JSON.stringify(value));
    } catch {
      const type = String(headers['content-type']);
      throw unreadable(
        name,
        /html/i.test(type) || /^\s*</.test(text.toString('latin1', 0, 200))
          ? 'a web page'
          : 'something that is not JSON',
      );
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw unreadable(name, 'JSON that is no object');
    // Escapes hide it from the search above.
    this.#refuseEcho(again);
    return value as Record<string, unknown>;
  }

  /** @param whole an error's body is only looked into: beyond the limit it is left */
  async #collect(body: Dispatcher.ResponseData['body'], most: number, whole: boolean): Promise<Buffer> {
    const { bytes, isWhole } = await collect(body, most);
    if (whole && !isWhole) throw unreadable(this.#settings.name, `more than ${most} bytes`);
    return bytes;
  }

  #refuseEcho(text: Buffer): void {
    const { apiKey, name } = this.#settings;
    const key = apiKey?.reveal() ?? '';
    if (key.length < SHORTEST_KEY) return;
    const forms = [
      key,
      JSON.stringify(key).slice(1, -1),
      encodeURIComponent(key),
      Buffer.from(key).toString('base64').replace(/=+$/, ''),
      Buffer.from(key).toString('hex'),
    ];
    if (forms.some((form) => text.includes(form))) throw echoesKey(name);
  }
}

function whereTo(base: URL, location: unknown): string {
  const text = String(location);
  if (!URL.canParse(text, base.href)) return 'to something that is no address';
  const { origin, protocol } = new URL(text, base.href);
  if (origin === base.origin) return 'within its own origin';
  return origin === 'null'
    ? `to ${/^[a-z]{1,10}:$/.test(protocol) ? protocol : 'another kind of address'}`
    : `to ${origin.slice(0, 120)}`;
}

/** `error.code` or `error.type` of an error's body, where it is JSON. */
function codeIn(text: Buffer): string | undefined {
  const read = jsonOrNothing(text.toString('utf8')) as {
    error?: { code?: unknown; type?: unknown } | null;
  } | null;
  return [read?.error?.code, read?.error?.type].find((one): one is string => typeof one === 'string');
}
