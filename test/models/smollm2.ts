// SmolLM2-135M by its sizes alone, for what is counted of a model without its weights.

import { familyOf } from '../../src/models/families/index.ts';
import type { Decoder } from '../../src/models/family.ts';

export const smollm2 = (tied = true): Decoder =>
  familyOf(
    {
      model_type: 'llama',
      vocab_size: 49152,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      tie_word_embeddings: tied,
    },
    'config.json',
  );
