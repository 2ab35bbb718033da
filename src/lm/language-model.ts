// "Something that answers": what verification, evaluation and attacks ask, whatever stands behind it.

import type { Prompt } from '../text/prompt-tokens.ts';
import type { Wrapped } from '../text/prompts/wrappers.ts';
import type { RowFailure } from './row-failure.ts';
import type { Sampling } from './sampling.ts';

export interface GenerateRequest extends Prompt {
  readonly max_new_tokens: number;
  /** Default: greedy. */
  readonly sampling?: Sampling;
  /** Continuations of this prompt; default 1. */
  readonly num_samples?: number;
  /** A continuation ends before the first of these strings. */
  readonly stop?: readonly string[];
  /** Which of the seed's draws this request gets; default: its place in the list. */
  readonly draw?: number;
}

export interface Generation {
  readonly prompt: string;
  /** The continuation alone, special tokens left out, up to a stop string. */
  readonly generated: string;
  /** With the tokens that completed a stop string, without the one that ends a text. */
  readonly generated_token: readonly number[];
}

export interface ScoreRequest {
  readonly context: string;
  readonly continuation: string;
}

export interface Score {
  /** Natural log-probability, summed over the continuation's tokens. */
  readonly logprob: number;
  readonly tokens: number;
  /** Whether greedy decoding would have written the continuation. */
  readonly greedy: boolean;
}

export interface LanguageModel {
  /** A name for people: a folder, a file, an endpoint. */
  readonly name: string;
  /**
   * Continuations, each as soon as its batch is done. `index` counts them in the order of the requests, the samples of a
   * request one after the other: without `num_samples` it is the request's place.
   */
  generate(requests: readonly GenerateRequest[]): AsyncGenerator<{ index: number; generation: Generation }>;
  /** As `generate`, but a prompt that cannot be asked is an error in its place: a single one, whatever `num_samples`. */
  generateRows?(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: Generation } | RowFailure>;
  /** As `score`, likewise. */
  scoreRows?(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score } | RowFailure>;
  /** `index` is the request's place. */
  score?(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }>;
  /** What stands around a text under the named wrapper, as this model has it. */
  wrapped(name: string, system?: string): Promise<Wrapped>;
  release(): Promise<void>;
}
