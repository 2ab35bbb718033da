// Rotary positions as a value of a family: which part of a head turns, how, and by which frequencies (Su et al. 2021).

/** Kinds of scaling, by Hugging Face's name (`blocks/rope-scaling.ts` says what each does). */
export type RopeType = 'default' | 'linear' | 'dynamic' | 'llama3';

export interface RopeScaling {
  readonly rope_type: RopeType;
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
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
