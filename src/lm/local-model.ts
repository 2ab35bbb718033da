// A checkpoint on this machine as a language model: text in, text or log-probabilities out, batched and streamed.

import { WhorlError } from '../base/error.ts';
import { isQuantised, type QuantisedPrecision } from '../engine/packing.ts';
import { cpu, type Device } from '../engine/session.ts';
import { longestSequence } from '../models/blocks/rope-scaling.ts';
import { Encoder } from '../models/encode.ts';
import type { Model, ModelWeights } from '../models/model.ts';
import { type Overlay, PUBLISHED, VANILLA, type Variant } from '../models/overlay.ts';
import { assertUnchanged } from '../sources/checkpoints/checkpoint.ts';
import { type Prompt, promptTokens } from '../text/prompt-tokens.ts';
import type { ChatMessage } from '../text/prompts/chat-template.ts';
import { promptOfTurns, templateOf, type Wrapped, wrapperNamed } from '../text/prompts/wrappers.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { batches } from './batches.ts';
import { positionBytes } from './cache.ts';
import { candidates, type Strategy, strategyOf } from './choose.ts';
import type { SampleRequest } from './decode-request.ts';
import { BatchDecoder } from './decoder.ts';
import {
  askedText,
  type GenerateRequest,
  type LanguageModel,
  type Question,
  type Score,
  type ScoreRequest,
  type TokenGeneration,
} from './language-model.ts';
import { answerable, failuresOf, isFailure, orThrow, type RowFailure } from './row-failure.ts';
import { fullSampling, uniforms } from './sampling.ts';
import { cutLeft, type ScoredTokens, type ScoringRules, scoreSources, scoreTokens } from './score-tokens.ts';
import { cutAtStop, stopAt } from './stop.ts';

export interface LocalModelOptions {
  readonly device?: Device;
  /** What computes in place of the model's own weights: the same, quantised. */
  readonly weights?: ModelWeights;
  /** Laid over the checkpoint, with the variant that generate and score use (default: its rows, no adapter). */
  readonly overlay?: Overlay;
  readonly variant?: Variant;
  /** Opened already, as a suspect's is in a process of its own; default: the folder's. */
  readonly tokenizer?: Tokenizer;
  /** What stands around a text that is asked, where the chat template runs elsewhere; default: in this process. */
  readonly wrapped?: LanguageModel['wrapped'];
  /** Turns as text, likewise. */
  readonly turns?: (messages: readonly ChatMessage[]) => Promise<Prompt>;
  /** Called at the release: ends what was opened for this model alone. */
  readonly ended?: () => void;
  readonly scoring?: ScoringRules;
  /** Most tokens in one run of the engine: memory against speed. */
  readonly batch_tokens?: number;
  /** Most continuations in one run of the engine; default: 64. */
  readonly sequences?: number;
}

/** Tokens of the linear layers in one run. More make scoring no faster. */
const BATCH_TOKENS = 2048;
/** Decoding reads every weight for each token of a batch: the more sequences share that, the better. */
const GENERATE_TOKENS = 4096;
/** What the caches of a batch may take, unless `batch_tokens` says otherwise; up to three copies live at a time. */
const CACHE_BYTES = 2 ** 28;
/** Float32 logits of one run, twice over. */
const LOGITS_BYTES = 2 ** 26;

interface GenerateJob extends SampleRequest {
  readonly request: GenerateRequest;
  /** Of the first sample among all results. */
  readonly index: number;
  readonly strategy: Strategy;
}

type ScoreJob = ScoredTokens & { readonly index: number };

const isError = (value: unknown): value is WhorlError => value instanceof WhorlError;

/** What answers of all that is laid over a checkpoint. */
interface Laid {
  readonly overlay: Overlay | undefined;
  readonly variant: Variant;
}

export class LocalModel implements LanguageModel<TokenGeneration> {
  readonly encoder: Encoder;
  readonly decoder: BatchDecoder;
  private constructor(
    readonly name: string,
    readonly model: Model,
    readonly tokenizer: Tokenizer,
    readonly options: LocalModelOptions,
  ) {
    const device = options.device ?? cpu;
    const weights = options.weights ?? model;
    this.encoder = new Encoder(weights, options.overlay, device);
    this.decoder = new BatchDecoder(weights, options.overlay, device);
  }

  /** Throws `bad-file` and `unsupported` as the readers do; compiles nothing yet. */
  static async open(model: Model, options: LocalModelOptions = {}): Promise<LocalModel> {
    const tokenizer = options.tokenizer ?? (await openTokenizer(model.folder, model.convertedFrom));
    // Added tokens beyond the embedding (a padding token, often) are refused where a text holds them, as in transformers.
    let entries = tokenizer.vocab_size;
    while (tokenizer.addedIds.has(entries - 1) && entries > model.decoder.config.vocab_size) entries--;
    if (entries > model.decoder.config.vocab_size)
      throw new WhorlError(
        'mismatch',
        `${model.source}: the tokenizer has ${tokenizer.vocab_size} entries, the embedding ${model.decoder.config.vocab_size} rows`,
        'take tokenizer and weights of one model',
      );
    return new LocalModel(model.source, model, tokenizer, options);
  }

  /** To which its linear layers are quantised, where they are. */
  get precision(): QuantisedPrecision | undefined {
    const { precision } = this.options.device ?? cpu;
    return isQuantised(precision) ? precision : undefined;
  }

  get variant(): Variant {
    return this.options.variant ?? (this.options.overlay ? PUBLISHED : VANILLA);
  }

  /** @throws WhorlError `usage` for settings out of range and prompts too long, before anything is generated */
  generate(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: TokenGeneration }> {
    return this.#generate(requests, this.#laid);
  }

  /** As `generate`, but a prompt that cannot be asked is an error in its place: a single one, whatever `num_samples`. */
  async *generateRows(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: TokenGeneration } | RowFailure> {
    const jobs = await this.#generateJobs(requests, this.variant);
    yield* failuresOf(jobs);
    yield* this.#generated(answerable(jobs), this.#laid.overlay);
  }

  /** What `generate` reads of each request, refused as there: for who answers elsewhere. */
  async promptsOf(requests: readonly GenerateRequest[]): Promise<(readonly number[])[]> {
    return orThrow(await this.#generateJobs(requests, this.variant)).map(({ tokens }) => tokens);
  }

  /**
   * The same model with other rows (of the same sizes) laid over it, or another part of what is: it shares the compiled
   * programs, and is asked no longer once this one is released.
   */
  under(overlay: Overlay | undefined, variant: Variant): LanguageModel<TokenGeneration> {
    return {
      name: this.name,
      wrapped: (name, system) => this.wrapped(name, system),
      generate: (requests) => this.#generate(requests, { overlay, variant }),
      release: () => Promise.resolve(),
    };
  }

  /** @throws WhorlError `usage` for a wrapper that is not known, or that this model cannot be asked under */
  wrapped(name: string, system?: string): Promise<Wrapped> {
    return (
      this.options.wrapped?.(name, system) ??
      Promise.resolve().then(() =>
        wrapperNamed(name, { ...templateOf(this.tokenizer), system, now: new Date() }),
      )
    );
  }

  get #laid(): Laid {
    return { overlay: this.options.overlay, variant: this.variant };
  }

  async *#generate(
    requests: readonly GenerateRequest[],
    { overlay, variant }: Laid,
  ): AsyncGenerator<{ index: number; generation: TokenGeneration }> {
    yield* this.#generated(orThrow(await this.#generateJobs(requests, variant)), overlay);
  }

  async #generateJobs(
    requests: readonly GenerateRequest[],
    variant: Variant,
  ): Promise<(GenerateJob | RowFailure)[]> {
    const texts = await Promise.all(requests.map((question) => this.#text(question)));
    const prompts = await promptTokens(
      this.tokenizer,
      texts.map((text) => (isError(text) ? { prompt: '' } : text)),
      this.model.decoder.encoder !== undefined,
    );
    let count = 0;
    return requests.map((request, place) => {
      const text = texts[place]!;
      const job = isError(text)
        ? { index: count, error: text }
        : this.#job(request, place, prompts[place]!, count, variant);
      count += isFailure(job) ? 1 : job.uniforms.length;
      return job;
    });
  }

  async *#generated(
    jobs: readonly GenerateJob[],
    overlay: Overlay | undefined,
  ): AsyncGenerator<{ index: number; generation: TokenGeneration }> {
    const room = Math.floor(CACHE_BYTES / positionBytes(this.model.decoder.config));
    const limits = {
      tokens: this.options.batch_tokens ?? Math.min(GENERATE_TOKENS, room),
      ...(this.options.sequences !== undefined && { sequences: this.options.sequences }),
      extra: ({ request }: GenerateJob) => request.max_new_tokens,
      copies: ({ uniforms }: GenerateJob) => uniforms.length,
      // What shares a batch shares a graph, its number of sorted columns and its number of rounds.
      group: ({ request, strategy, sampling }: GenerateJob) =>
        `${strategy.name} ${candidates(sampling)} ${request.max_new_tokens}`,
    };
    for (const batch of batches(jobs, limits)) {
      assertUnchanged(this.model);
      const decoded = await this.decoder.decode(batch[0]!.strategy, batch, {
        maxNewTokens: batch[0]!.request.max_new_tokens,
        ends: this.tokenizer.eosIds,
        overlay,
        stopped: batch.some(({ request }) => request.stop?.length) ? this.#stopped : undefined,
      });
      const texts = await this.tokenizer.decodeBatch(decoded.flat());
      let at = 0;
      for (const [i, { request, index }] of batch.entries())
        for (const [sample, tokens] of decoded[i]!.entries()) {
          const cut = await cutAtStop(this.tokenizer, tokens, texts[at++]!, request.stop ?? []);
          yield {
            index: index + sample,
            generation: { prompt: askedText(request), generated: cut.text, generated_token: cut.tokens },
          };
        }
    }
    assertUnchanged(this.model);
  }

  /** Turns are written by the model's own chat template. */
  async #text({ messages, ...prompt }: Question): Promise<Prompt | WhorlError> {
    if (!messages) return prompt as Prompt;
    const render =
      this.options.turns ??
      ((turns: readonly ChatMessage[]) =>
        promptOfTurns(turns, { ...templateOf(this.tokenizer), now: new Date() }));
    try {
      return await render(messages);
    } catch (cause) {
      if (isError(cause)) return cause;
      throw cause;
    }
  }

  #job(
    request: GenerateRequest,
    place: number,
    prompt: readonly number[],
    index: number,
    variant: Variant,
  ): GenerateJob | RowFailure {
    const { max_new_tokens, num_samples = 1, stop = [] } = request;
    const { encoder } = this.model.decoder;
    for (const [name, value] of Object.entries({ max_new_tokens, num_samples }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new WhorlError('usage', `${name} is ${value}`, 'give a whole number from 1');
    if (stop.includes(''))
      throw new WhorlError('usage', 'a stop string is empty', 'give at least one character');
    const sampling = fullSampling(request.sampling);
    const draws = sampling.temperature > 0 ? max_new_tokens : 0;
    const read = prompt.length > 0 ? prompt : this.#begin();
    if (isError(read)) return { index, error: read };
    const error = this.#misfit(read, request);
    if (error) return { index, error };
    return {
      request,
      index,
      ...(encoder ? { source: read, tokens: [encoder.start] } : { tokens: read }),
      variant,
      sampling,
      strategy: strategyOf(sampling),
      uniforms: Array.from({ length: num_samples }, (_, sample) =>
        uniforms(sampling.seed, request.draw ?? place, sample, draws),
      ),
    };
  }

  readonly #stopped = async (
    running: readonly { readonly request: GenerateJob; readonly tokens: readonly number[] }[],
  ): Promise<boolean[]> => {
    const texts = await this.tokenizer.decodeBatch(running.map(({ tokens }) => tokens));
    return running.map(({ request }, i) => stopAt(texts[i]!, request.request.stop ?? []) >= 0);
  };

  /** @throws WhorlError `usage`, `mismatch` for a row that cannot be scored, before anything is */
  async *score(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }> {
    yield* this.#scored(orThrow(await this.#scoreJobs(requests), 'row'));
  }

  /** As `score`, but a row that cannot be scored is an error in its place. */
  async *scoreRows(
    requests: readonly ScoreRequest[],
  ): AsyncGenerator<{ index: number; score: Score } | RowFailure> {
    const jobs = await this.#scoreJobs(requests);
    yield* failuresOf(jobs);
    yield* this.#scored(answerable(jobs));
  }

  /** What is read where a request is scored, or what is wrong with it: the tokens, the first scored one, a source. */
  async tokensOf(requests: readonly ScoreRequest[]): Promise<(ScoredTokens | WhorlError)[]> {
    return (await this.#scoreJobs(requests)).map((job) => (isFailure(job) ? job.error : job));
  }

  async #scoreJobs(requests: readonly ScoreRequest[]): Promise<(ScoreJob | RowFailure)[]> {
    const { specialTokens, beginning, cutsLeft } = this.options.scoring ?? {};
    const { encoder, config } = this.model.decoder;
    const rows = encoder
      ? await scoreSources(this.tokenizer, requests, this.#begin(beginning), encoder.start)
      : await scoreTokens(this.tokenizer, requests, this.#begin(beginning), specialTokens);
    return rows.map((given, index) => {
      const row =
        cutsLeft && !encoder && !isError(given) ? cutLeft(given, config.max_position_embeddings) : given;
      if (isError(row)) return { index, error: row };
      const { context, continuation } = requests[index]!;
      const error = this.#unknown([...(row.source ?? []), ...row.tokens], context + continuation);
      return error ? { index, error } : { index, ...row };
    });
  }

  async *#scored(jobs: readonly ScoreJob[]): AsyncGenerator<{ index: number; score: Score }> {
    const { vocab_size } = this.model.decoder.config;
    const limits = {
      tokens: this.options.batch_tokens ?? BATCH_TOKENS,
      labels: Math.max(16, Math.floor(LOGITS_BYTES / (4 * vocab_size))),
      labelsOf: (job: { tokens: readonly number[]; from: number }) => job.tokens.length - job.from,
    };
    for (const batch of batches(jobs, limits)) {
      assertUnchanged(this.model);
      const results = await this.encoder.labels(
        batch.map(({ source, tokens, from }) => ({
          ...(source && { source }),
          tokens: tokens.slice(0, -1),
          wanted: Array.from({ length: tokens.length - from }, (_, i) => from - 1 + i),
          labels: tokens.slice(from),
          variant: this.variant,
        })),
      );
      for (const [i, job] of batch.entries()) {
        const { logprobs, greedy } = results[i]!;
        yield {
          index: job.index,
          score: {
            logprob: logprobs.reduce((a, b) => a + b, 0),
            tokens: logprobs.length,
            greedy: greedy.every(Boolean),
          },
        };
      }
    }
    assertUnchanged(this.model);
  }

  /** What stands where no text does: BOS, or EOS for a tokenizer without one; or the other way round. */
  #begin(first: ScoringRules['beginning'] = 'bos'): [number] | WhorlError {
    const { bosId, eosId } = this.tokenizer;
    const id = first === 'bos' ? (bosId ?? eosId) : (eosId ?? bosId);
    return id === undefined
      ? new WhorlError(
          'unsupported',
          `${this.name} has neither BOS nor EOS to begin an empty text with`,
          'give it a text',
        )
      : [id];
  }

  /** Why these tokens and the new ones cannot be given to the model. */
  #misfit(tokens: readonly number[], request: GenerateRequest): WhorlError | undefined {
    const { max_new_tokens } = request;
    const prompt = askedText(request);
    const most = longestSequence(this.model.decoder);
    return tokens.length + max_new_tokens > most
      ? new WhorlError(
          'usage',
          `a prompt of ${tokens.length} tokens (${JSON.stringify(prompt.slice(0, 24))}…) and ${max_new_tokens} new ones exceed the model's ${most} positions`,
          'shorten the prompt or lower --max-new-tokens',
        )
      : this.#unknown(tokens, prompt);
  }

  /** An added token may lie beyond the embedding, as long as no text holds it. */
  #unknown(tokens: readonly number[], text: string): WhorlError | undefined {
    const { vocab_size } = this.model.decoder.config;
    const beyond = tokens.find((id) => id >= vocab_size);
    return beyond === undefined
      ? undefined
      : new WhorlError(
          'mismatch',
          `${JSON.stringify(text.slice(0, 24))}… holds the token ${JSON.stringify(this.tokenizer.tokenOf(beyond))}, id ${beyond}; the embedding has ${vocab_size} rows`,
          'take tokenizer and weights of one model, or leave the token out',
        );
  }

  async release(): Promise<void> {
    await this.encoder.release();
    await this.decoder.release();
    this.options.ended?.();
  }
}
