// Rotary positions as a value of a family: which part of a head turns, how, and by which frequencies (Su et al. 2021).

/** Kinds of scaling, by Hugging Face's name (`blocks/rope-scaling.ts` says what each does). */
export type RopeType = 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope';

export interface RopeScaling {
  readonly rope_type: RopeType;
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
  /** What cos and sin are multiplied with; absent: nothing. */
  readonly attention_factor?: number;
  readonly yarn?: YarnScaling;
  readonly longrope?: LongRopeScaling;
}

/** Where YaRN's ramp begins and ends. */
interface YarnScaling {
  /** Turns within the original context: a pair with more of them is kept. */
  readonly beta_fast: number;
  /** One with fewer of them is divided by `factor`. */
  readonly beta_slow: number;
  /** Whether the ramp's ends are whole pairs. */
  readonly truncate: boolean;
}

/** Divisors of the frequencies, one a pair [dim/2]: up to the original length, and beyond it. */
interface LongRopeScaling {
  readonly short_factor: readonly number[];
  readonly long_factor: readonly number[];
}

export interface Rope {
  /** Leading elements of each head that turn; the rest stays as it is. Even. */
  readonly dim: number;
  /** Neighbours turn against each other (GPT-J) instead of the two halves (GPT-NeoX, LLaMA). */
  readonly interleaved: boolean;
  readonly rope_theta: number;
  readonly rope_scaling: RopeScaling;
  /** Positions that the frequencies were made for. */
  readonly max_position_embeddings: number;
}
