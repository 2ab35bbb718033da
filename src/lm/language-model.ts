// "Something that answers": what verification, evaluation and attacks ask, whatever stands behind it.

export interface GenerateRequest {
  readonly prompt: string;
  readonly max_new_tokens: number;
}

export interface Generation {
  readonly prompt: string;
  /** The continuation alone, special tokens left out. */
  readonly generated: string;
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
  /** Greedy continuations, in the order of the requests, each as soon as its batch is done. */
  generate(requests: readonly GenerateRequest[]): AsyncGenerator<{ index: number; generation: Generation }>;
  score?(requests: readonly ScoreRequest[]): AsyncGenerator<{ index: number; score: Score }>;
  release(): Promise<void>;
}
