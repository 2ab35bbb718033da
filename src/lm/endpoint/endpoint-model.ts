// A model behind an OpenAI-compatible server as something that answers: lists of requests in, results in their order out,
// however they arrive. Only text comes back; what the server says of itself is kept beside it.

import { checkAborted, currentSignal } from '../../base/abort.ts';
import { assert, WhorlError } from '../../base/error.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { isPrivateHost } from '../../sources/hub/addresses.ts';
import { WRAPPERS, type Wrapped, wrapperInTurns, wrapperNamed } from '../../text/prompts/wrappers.ts';
import {
  askedText,
  type GenerateRequest,
  type Generation,
  type LanguageModel,
  type Score,
  type ScoreRequest,
} from '../language-model.ts';
import type { RowFailure } from '../row-failure.ts';
import { Budget, type Spent } from './budget.ts';
import { RequestFailure, unreadable } from './failures.ts';
import { EndpointHttp } from './http.ts';
import { PROTOCOLS, type Reply, replyOf } from './protocol.ts';
import { scoreBody, scoreIn } from './score.ts';
import {
  type EndpointKind,
  type EndpointSettings,
  type EndpointSpec,
  type EndpointTuning,
  endpointSettings,
} from './settings.ts';
import { Tries } from './tries.ts';

/** Answers that an earlier call was given; a place is a request's `draw`, else its place in its list. */
export interface KeptReplies {
  readonly spent: Spent;
  /** @param asked SHA-256 of all that the answer depends on beside the server */
  find(place: number, asked: string): Reply | undefined;
  add(place: number, asked: string, reply: Reply, queries: number): void;
}

/** Who answered, as far as that can be known from outside. */
export interface EndpointIdentity {
  /** Origin and path of the API. */
  readonly url: string;
  readonly model_name: string;
  readonly kind: EndpointKind;
  /** Names that the server gave its model, ascending: more than one, and more than one model may have answered. */
  readonly reported_models: readonly string[];
  /** SHA-256 of the certificates (DER) at the other end, of this call and of those whose answers were kept; empty without TLS. */
  readonly tls_peers: readonly string[];
}

type Outcome<T> = { readonly value: T } | { readonly error: WhorlError };
type Row = { index: number; generation: Generation } | RowFailure;

/** Asked first: who has no such call, or wants another API key, learns no key of a claim by it. */
const HARMLESS = { prompt: 'Hello', max_new_tokens: 1 } as const;
/** Bytes of an answer: what stands around it, a token's text with escapes, a token with its log-probabilities. */
const ENVELOPE = 1 << 20;
const TOKEN = 256;
const TOKEN_SCORED = 1024;
/** Names, or certificates, that are remembered: what has more says nothing by them. */
const MOST_NAMES = 1024;
/** Statuses of a server that has no such call. */
const NO_SUCH_CALL: ReadonlySet<number | undefined> = new Set([404, 405, 501]);

export class EndpointModel implements LanguageModel {
  readonly name: string;
  readonly #settings: EndpointSettings;
  readonly #http: EndpointHttp;
  readonly #tries: Tries;
  readonly #budget: Budget;
  #kept: KeptReplies | undefined;
  readonly #reported = new Set<string>();
  readonly #peersBefore = new Set<string>();
  #kind: Promise<EndpointKind> | undefined;

  private constructor(settings: EndpointSettings) {
    this.#settings = settings;
    this.name = `${settings.model_name} at ${settings.name}`;
    this.#http = new EndpointHttp(settings);
    this.#tries = new Tries(settings);
    this.#budget = new Budget(settings);
  }

  /** @throws WhorlError `usage`; nothing is sent yet */
  static async open(spec: EndpointSpec, tuning: EndpointTuning = {}): Promise<EndpointModel> {
    const settings = endpointSettings(spec, tuning);
    const { protocol, hostname } = settings.base;
    if (settings.apiKey && protocol === 'http:' && !(await isPrivateHost(hostname)))
      throw new WhorlError(
        'usage',
        `${settings.name}: the API key would go over the net in clear`,
        'give the https address',
      );
    return new EndpointModel(settings);
  }

  get spent(): Spent {
    return this.#budget.spent;
  }

  /** @throws WhorlError `over-budget` where so many more queries are not left: before the first of them */
  checkEnough(queries: number, fix: string): void {
    const left = Math.max(0, this.#settings.most.queries - this.spent.queries);
    if (queries > left)
      throw new WhorlError(
        'over-budget',
        `${queries} queries of ${this.#settings.name} are needed at least, ${left} are left of --max-queries`,
        fix,
      );
  }

  /** What is answered from now on is kept there; what is kept already is paid for, and is not asked again. */
  keepIn(kept: KeptReplies): void {
    this.#kept = kept;
    this.#budget.add(kept.spent);
  }

  /** Which of the two calls is used; where that was left open, the server is asked. */
  async kind(): Promise<EndpointKind> {
    const { kind } = this.#settings;
    try {
      return kind === 'auto' ? await this.#ready() : kind;
    } catch (cause) {
      throw cause instanceof RequestFailure ? cause.error : cause;
    }
  }

  /** Asks something harmless once before anything else, so that no key of a claim is put to a server in vain. */
  #ready(): Promise<EndpointKind> {
    this.#kind ??= this.#settle();
    return this.#kind;
  }

  async identity(): Promise<EndpointIdentity> {
    return {
      url: this.#settings.name,
      model_name: this.#settings.model_name,
      kind: await this.kind(),
      reported_models: [...this.#reported].sort(),
      tls_peers: [...new Set([...this.#peersBefore, ...this.#http.peers])].sort().slice(0, MOST_NAMES),
    };
  }

  async #settle(): Promise<EndpointKind> {
    const { kind } = this.#settings;
    const first = kind === 'auto' ? 'completions' : kind;
    try {
      return await this.#asked(first);
    } catch (cause) {
      if (!(cause instanceof RequestFailure && kind === 'auto' && NO_SUCH_CALL.has(cause.status)))
        throw forAll(cause);
    }
    return this.#asked('chat').catch((cause: unknown) => Promise.reject(forAll(cause)));
  }

  async #asked(kind: EndpointKind): Promise<EndpointKind> {
    await this.#reply(kind, HARMLESS, currentSignal() ?? new AbortController().signal);
    return kind;
  }

  /** @throws WhorlError `usage` for a wrapper that is not known, or of a chat template where texts are gone on with */
  async wrapped(name: string, system?: string): Promise<Wrapped> {
    if ((await this.kind()) === 'chat') return wrapperInTurns(name, system);
    if (WRAPPERS.get(name)?.ofSuspect)
      throw new WhorlError(
        'usage',
        `wrapper ${name}: ${this.#settings.name} writes its chat template for conversations only`,
        'ask with --endpoint-kind chat, or under another wrapper',
      );
    return wrapperNamed(name, { system });
  }

  async *generate(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: Generation }> {
    for await (const row of this.generateRows(requests)) {
      if ('error' in row) throw row.error;
      yield row;
    }
  }

  /** In the order of the requests. What fails for all of them ends the call, once those under way have ended. */
  async *generateRows(requests: readonly GenerateRequest[]): AsyncGenerator<Row> {
    const kind = await this.kind();
    const texts = (place: number, signal: AbortSignal) =>
      this.#keptOrAsked(kind, requests[place]!, requests[place]!.draw ?? place, signal);
    let index = 0;
    for await (const { place, outcome } of this.#inTurn(requests.length, texts)) {
      if ('error' in outcome) yield { index: index++, error: outcome.error };
      else
        for (const generated of outcome.value.texts)
          yield { index: index++, generation: { prompt: askedText(requests[place]!), generated } };
    }
  }

  /** @throws WhorlError `unsupported` where the server gives no log-probabilities of what it is given */
  async *score(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }> {
    for await (const row of this.scoreRows(requests)) {
      if ('error' in row) throw row.error;
      yield row;
    }
  }

  async *scoreRows(
    requests: readonly ScoreRequest[],
  ): AsyncGenerator<{ index: number; score: Score } | RowFailure> {
    if ((await this.kind()) === 'chat')
      throw new WhorlError(
        'unsupported',
        `${this.name} gives no log-probabilities of a given text`,
        'ask with --endpoint-kind completions, or score a model whose weights lie here',
      );
    const ask = async (place: number, signal: AbortSignal): Promise<Score> => {
      const request = requests[place]!;
      const { answer } = await this.#persistently(
        PROTOCOLS.completions.path,
        scoreBody(request),
        [request.context + request.continuation],
        1,
        ENVELOPE + TOKEN_SCORED * Buffer.byteLength(request.context + request.continuation),
        signal,
        (got) => scoreIn(request, got),
      );
      return answer;
    };
    for await (const { place, outcome } of this.#inTurn(requests.length, ask))
      yield 'error' in outcome
        ? { index: place, error: outcome.error }
        : { index: place, score: outcome.value };
  }

  async release(): Promise<void> {
    await this.#http.close();
  }

  async #keptOrAsked(
    kind: EndpointKind,
    request: GenerateRequest,
    place: number,
    signal: AbortSignal,
  ): Promise<Reply> {
    const asked = sha256Hex(JSON.stringify([kind, PROTOCOLS[kind].body(request), request.stop ?? []]));
    const kept = this.#kept?.find(place, asked);
    if (kept) {
      this.#note(kept.model);
      for (const peer of kept.peers ?? []) this.#peersBefore.add(peer);
      return kept;
    }
    await this.#ready();
    const { reply, queries } = await this.#reply(kind, request, signal);
    this.#kept?.add(place, asked, { ...reply, peers: this.#http.peers }, queries);
    return reply;
  }

  async #reply(
    kind: EndpointKind,
    request: GenerateRequest,
    signal: AbortSignal,
  ): Promise<{ reply: Reply; queries: number }> {
    const protocol = PROTOCOLS[kind];
    const newTokens = request.max_new_tokens * (request.num_samples ?? 1);
    const said = request.messages?.map(({ role, content }) => role + content) ?? [askedText(request)];
    const { answer: reply, queries } = await this.#persistently<Reply>(
      protocol.path,
      protocol.body(request),
      said,
      newTokens,
      ENVELOPE + TOKEN * newTokens,
      signal,
      (answer) => replyOf(protocol, request, answer),
      ({ tokens }) => tokens,
    );
    this.#note(reply.model);
    return { reply, queries };
  }

  #note(model: string): void {
    if (this.#reported.size < MOST_NAMES) this.#reported.add(model);
  }

  /**
   * Asks until there is an answer that can be read; each try is paid for.
   * @param room most bytes of the answer
   */
  async #persistently<T>(
    path: string,
    body: object,
    texts: readonly string[],
    newTokens: number,
    room: number,
    signal: AbortSignal,
    read: (answer: Record<string, unknown>) => T,
    tokensOf: (read: T) => number | null = () => null,
  ): Promise<{ answer: T; queries: number }> {
    const { model_name, name } = this.#settings;
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    let queries = 0;
    return this.#tries.persist(async () => {
      signal.throwIfAborted();
      const share = this.#budget.take(bytes, newTokens);
      queries++;
      let tokens: number | null = null;
      try {
        const got = await this.#http.post(path, { model: model_name, ...body }, room, signal);
        const answer = readable(name, read, got);
        tokens = tokensOf(answer);
        return { answer, queries };
      } catch (cause) {
        if (cause instanceof RequestFailure && cause.free) tokens = 0;
        throw cause;
      } finally {
        share.used(tokens);
      }
    });
  }

  /** Calls for every place, so many at a time as are allowed; outcomes in the order of the places. */
  async *#inTurn<T>(
    count: number,
    call: (place: number, signal: AbortSignal) => Promise<T>,
  ): AsyncGenerator<{ place: number; outcome: Outcome<T> }> {
    const stopped = new AbortController();
    const given = currentSignal();
    const signal = given ? AbortSignal.any([given, stopped.signal]) : stopped.signal;
    const settle: ((outcome: Outcome<T> | undefined) => void)[] = [];
    const outcomes = Array.from(
      { length: count },
      (_, place) =>
        new Promise<Outcome<T> | undefined>((done) => {
          settle[place] = done;
        }),
    );
    let next = 0;
    let ended: WhorlError | undefined;
    let bug: unknown;
    const work = async (): Promise<void> => {
      while (next < count && !ended && bug === undefined && !signal.aborted) {
        const place = next++;
        try {
          settle[place]!({ value: await call(place, signal) });
        } catch (cause) {
          if (cause instanceof WhorlError && cause.code !== 'aborted') settle[place]!({ error: cause });
          else if (cause instanceof RequestFailure && cause.reach === 'request')
            settle[place]!({ error: cause.error });
          else if (cause instanceof RequestFailure) ended ??= cause.error;
          else bug ??= cause;
        }
      }
    };
    const all = Promise.all(Array.from({ length: Math.min(count, this.#settings.concurrency) }, work)).then(
      () => {
        for (const one of settle) one(undefined); // those that were never begun
      },
    );
    try {
      for (let place = 0; place < count; place++) {
        const outcome = await outcomes[place]!;
        if (outcome === undefined) {
          checkAborted();
          if (bug !== undefined) throw bug;
          assert(ended !== undefined, 'a request was left out');
          throw ended;
        }
        yield { place, outcome };
      }
    } finally {
      stopped.abort();
      await all;
    }
  }
}

const forAll = (cause: unknown): unknown =>
  cause instanceof RequestFailure ? new RequestFailure(cause.error, 'all') : cause;

/** An answer that cannot be read is none. */
function readable<T>(
  name: string,
  read: (answer: Record<string, unknown>) => T,
  answer: Record<string, unknown>,
): T {
  try {
    return read(answer);
  } catch (cause) {
    if (cause instanceof WhorlError && cause.code === 'endpoint') throw unreadable(name, cause.message);
    throw cause;
  }
}
