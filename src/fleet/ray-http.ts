// Ray Jobs' REST API: submit and look. Through undici's `request`: Ray answers browsers with 405, and Node's `fetch` sends the
// headers of one. Nothing is redirected; nothing secret is sent but Ray's own token, if it wants one.

import { type Dispatcher, request } from 'undici';
import { checkAborted, currentSignal } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { CONNECTION_REASONS, collect } from '../base/http.ts';
import { jsonOrNothing } from '../base/json.ts';
import { Secret } from '../base/secret.ts';

const MILLISECONDS = 30_000;
const MAX_ANSWER = 4 << 20;
const LOOK_MS = 500;
/** Times that a request gets no answer before jobs are given up: the head may be restarting, or closed a connection as it was taken. */
const TIMES = 20;

/** What a proxy says where nobody answers behind it. */
const NOBODY = new Set([502, 503, 504]);

/** PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED. */
export interface JobState {
  readonly status: string;
  readonly message: string;
}

export const isOver = ({ status }: JobState): boolean => ['SUCCEEDED', 'FAILED', 'STOPPED'].includes(status);

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface RayOptions {
  /** Of Ray's dashboard; default: RAY_ADDRESS. */
  readonly address?: string | undefined;
  /** Milliseconds between looks, for tests. */
  readonly lookMs?: number | undefined;
}

export class RayJobs {
  readonly #base: URL;
  readonly #lookMs: number;
  /** Of a cluster that asks for one; Ray's own variable. */
  readonly #token = tokenFrom(process.env.RAY_AUTH_TOKEN);

  /** @throws WhorlError `usage` for an address that has no REST API */
  constructor({ address = process.env.RAY_ADDRESS, lookMs = LOOK_MS }: RayOptions) {
    this.#base = addressOf(address ?? 'http://127.0.0.1:8265');
    this.#lookMs = lookMs;
  }

  /** @throws WhorlError `unreachable` with what to do */
  async version(): Promise<string> {
    const { status, body } = await this.#ask('GET', '/api/version');
    const version = (body as { ray_version?: unknown } | undefined)?.ray_version;
    if (status !== 200 || typeof version !== 'string')
      throw this.#unusable(`answers ${status} and no version of Ray`);
    return version;
  }

  /** undefined for a job that Ray does not know. */
  async look(id: string): Promise<JobState | undefined> {
    const { status, body } = await this.#patiently('GET', `/api/jobs/${id}`);
    if (status === 404) return undefined;
    const { status: state, message } = (body ?? {}) as { status?: unknown; message?: unknown };
    if (status !== 200 || typeof state !== 'string') throw this.#unusable(`answers ${status} about a job`);
    return { status: state, message: typeof message === 'string' ? message : '' };
  }

  /** Under an id of ours: Ray refuses one that it has, so nothing is begun twice, though its answer was lost. */
  async submit(id: string, entrypoint: string, cpus: number): Promise<void> {
    const { status } = await this.#patiently('POST', '/api/jobs/', {
      submission_id: id,
      entrypoint,
      entrypoint_num_cpus: cpus,
    });
    if (status !== 200 && !(await this.look(id))) throw this.#unusable(`answers ${status} to a new job`);
  }

  /** Looks until it is over. */
  async follow(id: string): Promise<JobState> {
    for (;;) {
      const state = await this.look(id);
      if (!state) return { status: 'gone', message: 'Ray does not know it any more' };
      if (isOver(state)) return state;
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#lookMs));
    checkAborted();
  }

  /** Again where there is no answer: about jobs, which have names of ours. */
  async #patiently(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
    for (let missed = 1; ; missed++)
      try {
        const answer = await this.#ask(method, path, body);
        if (!NOBODY.has(answer.status)) return answer;
        throw this.#unreachable(`answers ${answer.status}`);
      } catch (cause) {
        if (!(cause instanceof WhorlError && cause.code === 'unreachable') || missed >= TIMES) throw cause;
        await this.#pause();
      }
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
    const late = AbortSignal.timeout(MILLISECONDS);
    const given = currentSignal();
    try {
      const answer = await request(new URL(path, this.#base), {
        method,
        headers: {
          accept: 'application/json',
          ...(body && { 'content-type': 'application/json' }),
          ...(this.#token && { authorization: `Bearer ${this.#token.reveal()}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: given ? AbortSignal.any([given, late]) : late,
      });
      const read = { status: answer.statusCode, body: await this.#read(answer) };
      if (read.status === 401 || read.status === 403)
        throw new WhorlError(
          'endpoint',
          `Ray at ${this.#base.origin} refuses the caller`,
          'set RAY_AUTH_TOKEN to the token of that cluster; the same command goes on',
        );
      return read;
    } catch (cause) {
      checkAborted();
      if (cause instanceof WhorlError) throw cause;
      const code = String((cause as NodeJS.ErrnoException).code);
      throw this.#unreachable(
        late.aborted ? 'does not answer' : (CONNECTION_REASONS[code] ?? 'cannot be asked'),
        cause,
      );
    }
  }

  async #read({ body }: Dispatcher.ResponseData): Promise<unknown> {
    const { bytes, isWhole } = await collect(body, MAX_ANSWER);
    if (!isWhole) throw this.#unusable(`answers more than ${MAX_ANSWER} bytes`);
    return jsonOrNothing(bytes.toString('utf8'));
  }

  #unreachable(what: string, cause?: unknown): WhorlError {
    return new WhorlError(
      'unreachable',
      `Ray at ${this.#base.origin} ${what}`,
      'start it (ray start --head), or name its dashboard with --address or RAY_ADDRESS; the same command goes on',
      { cause },
    );
  }

  #unusable(what: string): WhorlError {
    return new WhorlError(
      'endpoint',
      `what stands at ${this.#base.origin} ${what}`,
      'name the dashboard of a Ray cluster with --address or RAY_ADDRESS; the same command goes on',
    );
  }
}

/** A header holds nothing else, and the engine's own message would show it. @throws WhorlError `usage` */
function tokenFrom(text: string | undefined): Secret<string> | undefined {
  if (!text) return undefined;
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new WhorlError('usage', 'RAY_AUTH_TOKEN holds characters that no token has', 'check it');
  return new Secret(text);
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  // Not the text itself: it may hold a password.
  throw new WhorlError(
    'usage',
    'the address of Ray is not one of its dashboard',
    'give http://HOST:8265 with --address or RAY_ADDRESS; ray://, auto and HOST:6379 have no REST API',
  );
}
