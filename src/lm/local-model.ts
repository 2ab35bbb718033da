// A checkpoint on this machine as a language model: text in, text or log-probabilities out, batched and streamed.

import { WhorlError } from '../base/error.ts';
import { cpu, type Device } from '../engine/session.ts';
import { Encoder, type Model } from '../models/encode.ts';
import { familyOf } from '../models/llama.ts';
import type { ModelFolder } from '../models/open-model.ts';
import { type Overlay, PUBLISHED, VANILLA, type Variant } from '../models/overlay.ts';
import { assertUnchanged, weightsFolder } from '../sources/checkpoints/checkpoint.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { GreedyDecoder } from './decoder.ts';
import type { GenerateRequest, Generation, LanguageModel, Score, ScoreRequest } from './language-model.ts';

export interface LocalModelOptions {
  readonly device?: Device;
  /** Laid over the checkpoint, with the variant that generate and score use (default: its rows, no adapter). */
  readonly overlay?: Overlay;
  readonly variant?: Variant;
  /** Opened already, as a suspect's is in a process of its own; default: the folder's. The caller ends it. */
  readonly tokenizer?: Tokenizer;
  /** Most tokens in one run of the engine: memory against speed. */
  readonly batch_tokens?: number;
}

const BATCH_TOKENS = 2048;
const BATCH_SEQUENCES = 64;
/** Label rows of one run: their logits, [L, V] float32 twice over, are what memory goes to. */
const BATCH_LABELS = 256;

/** A family bound to an opened folder. Throws `bad-file` where a tensor is missing or has another shape than the config says. */
export function bindModel(folder: ModelFolder): Model {
  const decoder = familyOf(folder.config, `${folder.source}/config.json`);
  for (const [name, shape] of decoder.shapes) {
    const ref = folder.tensors.get(name);
    if (!ref)
      throw new WhorlError('bad-file', `${folder.source} has no tensor ${name}`, 'get the checkpoint again');
    if (String(ref.shape) !== String(shape))
      throw new WhorlError(
        'bad-file',
        `${folder.source}: ${name} is [${ref.shape}], its config says [${shape}]`,
        'get the checkpoint again',
      );
  }
  return { decoder, tensors: folder.tensors, folder: weightsFolder(folder) };
}

export class LocalModel implements LanguageModel {
  readonly encoder: Encoder;
  readonly decoder: GreedyDecoder;
  private constructor(
    readonly name: string,
    readonly folder: ModelFolder,
    readonly model: Model,
    readonly tokenizer: Tokenizer,
    readonly options: LocalModelOptions,
  ) {
    const device = options.device ?? cpu;
    this.encoder = new Encoder(model, options.overlay, device);
    this.decoder = new GreedyDecoder(model, options.overlay, device);
  }

  /** Throws `bad-file` and `unsupported` as the readers do; compiles nothing yet. */
  static async open(folder: ModelFolder, options: LocalModelOptions = {}): Promise<LocalModel> {
    const model = bindModel(folder);
    const tokenizer = options.tokenizer ?? (await openTokenizer(folder.folder));
    if (tokenizer.vocab_size > model.decoder.config.vocab_size)
      throw new WhorlError(
        'mismatch',
        `${folder.source}: the tokenizer has ${tokenizer.vocab_size} entries, the embedding ${model.decoder.config.vocab_size} rows`,
        'take tokenizer and weights of one model',
      );
    return new LocalModel(folder.source, folder, model, tokenizer, options);
  }

  get variant(): Variant {
    return this.options.variant ?? (this.options.overlay ? PUBLISHED : VANILLA);
  }

  async *generate(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: Generation }> {
    const prompts = await this.tokenizer.encodeBatch(requests.map(({ prompt }) => prompt));
    const jobs = requests.map((request, index) => ({
      request,
      index,
      tokens: this.#fit(prompts[index]!, request),
    }));
    const limit = this.#budget();
    for (const batch of batches(
      jobs,
      (job) => job.tokens.length + job.request.max_new_tokens,
      (job) => job.request.max_new_tokens,
      limit,
    )) {
      assertUnchanged(this.folder);
      const continuations = await this.decoder.decode(
        batch.map(({ tokens }) => ({ tokens, variant: this.variant })),
        batch[0]!.request.max_new_tokens,
        this.tokenizer.eosIds,
      );
      const texts = await this.tokenizer.decodeBatch(continuations);
      for (const [i, job] of batch.entries())
        yield {
          index: job.index,
          generation: {
            prompt: job.request.prompt,
            generated: texts[i]!,
            generated_token: continuations[i]!,
          },
        };
    }
    assertUnchanged(this.folder);
  }

  async *score(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }> {
    const contexts = await this.tokenizer.encodeBatch(requests.map(({ context }) => context));
    const wholes = await this.tokenizer.encodeBatch(
      requests.map(({ context, continuation }) => context + continuation),
    );
    const jobs = wholes.map((whole, index) => {
      const start = contexts[index]!.length;
      // Nothing stands before the first token of an empty context: the model's own beginning does.
      const tokens = start === 0 ? [this.#beginning(), ...whole] : whole;
      const from = Math.max(1, start);
      if (from >= tokens.length)
        throw new WhorlError(
          'usage',
          `row ${index + 1}: the continuation adds no token to its context`,
          'give a longer continuation',
        );
      return { index, tokens, from };
    });
    for (const batch of batches(
      jobs,
      (job) => job.tokens.length,
      () => 0,
      this.#budget(),
      (job) => job.tokens.length - job.from,
    )) {
      assertUnchanged(this.folder);
      const results = await this.encoder.labels(
        batch.map(({ tokens, from }) => ({
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
    assertUnchanged(this.folder);
  }

  #beginning(): number {
    const { bosId, eosIds } = this.tokenizer;
    const id = bosId ?? eosIds[0];
    if (id === undefined)
      throw new WhorlError(
        'unsupported',
        `${this.name} has neither BOS nor EOS to begin an empty context with`,
        'give a context',
      );
    return id;
  }

  #fit(tokens: readonly number[], { prompt, max_new_tokens }: GenerateRequest): readonly number[] {
    const { max_position_embeddings: most } = this.model.decoder.config;
    if (tokens.length === 0) return [this.#beginning()];
    if (tokens.length + max_new_tokens > most)
      throw new WhorlError(
        'usage',
        `a prompt of ${tokens.length} tokens (${JSON.stringify(prompt.slice(0, 24))}…) and ${max_new_tokens} new ones exceed the model's ${most} positions`,
        'shorten the prompt or lower --max-new-tokens',
      );
    return tokens;
  }

  #budget(): number {
    return this.options.batch_tokens ?? BATCH_TOKENS;
  }

  async release(): Promise<void> {
    await this.encoder.release();
    await this.decoder.release();
  }
}

/** Jobs of like size together, longest first; jobs of different `group` never share a batch. */
function* batches<T>(
  jobs: readonly T[],
  size: (job: T) => number,
  group: (job: T) => number,
  limit: number,
  labels: (job: T) => number = () => 1,
): Generator<T[]> {
  const sorted = [...jobs].sort((a, b) => group(b) - group(a) || size(b) - size(a));
  let batch: T[] = [];
  let [total, wanted] = [0, 0];
  for (const job of sorted) {
    const full =
      batch.length >= BATCH_SEQUENCES || total + size(job) > limit || wanted + labels(job) > BATCH_LABELS;
    if (batch.length > 0 && (full || group(batch[0]!) !== group(job))) {
      yield batch;
      [batch, total, wanted] = [[], 0, 0];
    }
    batch.push(job);
    total += size(job);
    wanted += labels(job);
  }
  if (batch.length > 0) yield batch;
}

/** All generations in the order of the requests. */
export async function generateAll(
  model: LanguageModel,
  requests: readonly GenerateRequest[],
): Promise<Generation[]> {
  const out: Generation[] = [];
  for await (const { index, generation } of model.generate(requests)) out[index] = generation;
  return out;
}
