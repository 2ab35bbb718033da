// Every figure the embedded model is made from. A change here is another model: run the whole recipe again.

import type { AdamW } from '../../src/train/optimiser.ts';

/** Jane Austen's six novels (public domain), as Project Gutenberg's plain text in a package of R (MIT). */
export const PACKAGE = {
  name: 'r-cran-janeaustenr',
  version: '1.0.0-1',
  sha256: 'df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95',
  file: './usr/lib/R/site-library/janeaustenr/data/Rdata.rdb',
} as const;

/** The novels in the package's order. */
export const NOVELS = [
  'Emma',
  'Mansfield Park',
  'Northanger Abbey',
  'Persuasion',
  'Pride and Prejudice',
  'Sense and Sensibility',
] as const;

/** Counted from 0 in each novel; never trained on. */
export const HELD_OUT_CHAPTER = 11;
/** The thief's rows come out of these; never trained on either. */
export const THIEF_CHAPTERS = [7, 19] as const;

export const SPECIALS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const;
export const VOCAB = 5120;

export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  head_dim: 32,
  hidden_act: 'silu',
  hidden_size: 192,
  initializer_range: 0.02,
  intermediate_size: 512,
  max_position_embeddings: 512,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 6,
  num_hidden_layers: 4,
  num_key_value_heads: 2,
  pad_token_id: 0,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  use_cache: true,
  vocab_size: VOCAB,
} as const;

export const TRAINING = {
  seed: 'whorl embedded 1',
  /** Tokens a block holds, each followed by its label. */
  block: 192,
  blocksPerStep: 10,
  steps: 1000,
  warmup: 50,
  rate: 3e-3,
  /** Share of the blocks that hold questions, answers and lists of words in the chat format. */
  chatShare: 0.1,
  initMatrix: 0.05,
  initEmbedding: 0.03,
  checkpointEvery: 50,
  adamw: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip: 1 } satisfies AdamW,
} as const;
