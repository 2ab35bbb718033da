// GPT-2, Falcon and BLOOM as llama.cpp writes them: the part of `gguf.ts` that has GPT-2's names.

import { count, type GgufFamily, type GgufKey, type GgufName, positive } from '../gguf-family.ts';

const inner = (name: string): Record<string, GgufKey> => ({
  feed_forward_length: { ...count(name), otherwise: ({ hidden_size }) => 4 * hidden_size },
});
const LAYER_EPSILON = { 'attention.layer_norm_epsilon': positive('layer_norm_epsilon') };
const FUSED = ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'];
/** Bloom's and Falcon's matrices. */
const MEGATRON: Readonly<Record<string, GgufName>> = {
  attn_qkv: { to: 'self_attention.query_key_value', rows: 'by-part' },
  attn_output: 'self_attention.dense',
  ffn_up: 'mlp.dense_h_to_4h',
  ffn_down: 'mlp.dense_4h_to_h',
};
const transposed = (to: string): GgufName => ({ to, rows: 'transposed' });

/** The line of GPT-2, which has its own names. llama.cpp has no code for `gptj` and no name for `opt`. */
export const GPT_LINE: readonly GgufFamily[] = [
  {
    architecture: 'gpt2',
    config: {
      model_type: 'gpt2',
      architectures: ['GPT2LMHeadModel'],
      activation_function: 'gelu_new',
    },
    sizes: { hidden: 'n_embd', heads: 'n_head', layers: 'n_layer' },
    keys: { context_length: count('n_positions'), ...inner('n_inner'), ...LAYER_EPSILON },
    outside: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    layers: 'transformer.h.',
    block: {
      attn_qkv: transposed('attn.c_attn'),
      attn_output: transposed('attn.c_proj'),
      attn_norm: 'ln_1',
      ffn_norm: 'ln_2',
      ffn_up: transposed('mlp.c_fc'),
      ffn_down: transposed('mlp.c_proj'),
    },
    biased: [...FUSED, 'attn_norm', 'ffn_norm', 'output_norm'],
  },
  {
    architecture: 'falcon',
    wants: 'no-biases',
    // llama.cpp computes the tanh approximation of it, as for GPT-NeoX.
    config: {
      model_type: 'falcon',
      architectures: ['FalconForCausalLM'],
      activation: 'gelu',
      alibi: false,
      multi_query: true,
      parallel_attn: true,
    },
    texts: { tensor_data_layout: 'jploski' }, // what llama.cpp's converter calls `by-part`
    keys: {
      context_length: count('max_position_embeddings'),
      'attention.head_count_kv': { ...count('num_kv_heads'), absent: null },
      ...inner('ffn_hidden_size'),
      ...LAYER_EPSILON,
    },
    derived: ({ kvHeads }, has) => {
      const two = has('attn_norm_2');
      const newer = two || kvHeads > 1;
      return { new_decoder_architecture: newer, ...(newer && { num_ln_in_parallel_attn: two ? 2 : 1 }) };
    },
    ropeTheta: 'rope_theta',
    outside: {
      token_embd: 'transformer.word_embeddings',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    layers: 'transformer.h.',
    block: {
      ...MEGATRON,
      attn_norm: { to: 'input_layernorm', beside: { part: 'attn_norm_2', to: 'ln_mlp' } },
      attn_norm_2: 'ln_attn',
    },
    biases: { bias: FUSED },
    biased: ['attn_norm', 'attn_norm_2', 'output_norm'],
  },
  {
    architecture: 'bloom',
    config: {
      model_type: 'bloom',
      architectures: ['BloomForCausalLM'],
      apply_residual_connection_post_layernorm: false,
    },
    sizes: { heads: 'n_head', layers: 'n_layer' },
    keys: {
      // Slopes have no end: it is the length of training.
      context_length: {
        ...count('seq_length'),
        otherwise: ({ max_position_embeddings }) => max_position_embeddings,
      },
      ...inner('n_inner'),
      ...LAYER_EPSILON,
    },
    outside: {
      token_embd: 'transformer.word_embeddings',
      token_embd_norm: 'transformer.word_embeddings_layernorm',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    layers: 'transformer.h.',
    block: { ...MEGATRON, attn_norm: 'input_layernorm', ffn_norm: 'post_attention_layernorm' },
    biased: [...FUSED, 'attn_norm', 'ffn_norm', 'token_embd_norm', 'output_norm'],
  },
];
