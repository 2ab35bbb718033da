// "Something that answers": what verification, evaluation and attacks ask, whatever stands behind it.

import type { Prompt } from '../text/prompt-tokens.ts';
import type { ChatMessage, Wrapped } from '../text/prompts/chat-template.ts';
import { promptUnder } from '../text/prompts/wrappers.ts';
import type { RowFailure } from './row-failure.ts';
import type { Sampling } from './sampling.ts';

/** Turns of a conversation, for the model's own chat template: whoever answers writes it. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly prompt?: undefined;
}

/** What is put to a model: a text as it is read, or turns. */
export type Question = (Prompt & { readonly messages?: undefined }) | Conversation;

export interface Answering {
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

export type GenerateRequest = Question & Answering;
/** Of those who ask with texts alone. */
export type TextRequest = Prompt & Answering & { readonly messages?: undefined };

export interface Generation {
  /** As it was given; of turns the list of them, as JSON. */
  readonly prompt: string;
  /** The continuation alone, special tokens left out, up to a stop string. */
  readonly generated: string;
  /** With the tokens that completed a stop string, without the one that ends a text. Absent where only text comes back. */
  readonly generated_token?: readonly number[];
}

/** Of a model whose tokens are known. */
export interface TokenGeneration extends Generation {
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

export interface LanguageModel<G extends Generation = Generation> {
  /** A name for people: a folder, a file, an endpoint. */
  readonly name: string;
  /**
   * Continuations, each as soon as its batch is done. `index` counts them in the order of the requests, the samples of a
   * request one after the other: without `num_samples` it is the request's place.
   */
  generate(requests: readonly GenerateRequest[]): AsyncGenerator<{ index: number; generation: G }>;
  /** As `generate`, but a prompt that cannot be asked is an error in its place: a single one, whatever `num_samples`. */
  generateRows?(
    requests: readonly GenerateRequest[],
  ): AsyncGenerator<{ index: number; generation: G } | RowFailure>;
  /** As `score`, likewise. */
  scoreRows?(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score } | RowFailure>;
  /** `index` is the request's place. */
  score?(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }>;
  /** What stands around a text under the named wrapper, as this model has it: texts, or turns where it is the model's own template. */
  wrapped(name: string, system?: string): Promise<Wrapped>;
  release(): Promise<void>;
}

/** A text under a wrapper, as it is put to whoever the wrapper was made for. */
export function questionUnder(wrapped: Wrapped, text: string): Question {
  const { turns } = wrapped;
  const put = promptUnder(wrapped, text);
  return turns ? { messages: [...turns, { role: 'user', content: put.prompt }] } : put;
}

/** How a generation names what was asked. */
export const askedText = ({ prompt, messages }: Question): string => prompt ?? JSON.stringify(messages);
