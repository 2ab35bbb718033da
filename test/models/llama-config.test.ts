// config.json of published models, as their folders have it: accepted, and read as what it means. What changes the
// mathematics and is not handled is refused by name.

import { describe, expect, test } from 'vitest';
import { longestSequence } from '../../src/models/blocks/rope-scaling.ts';
import { llama, llamaConfig } from '../../src/models/families/llama.ts';

type Json = Readonly<Record<string, unknown>>;

const LLAMA_7B: Json = {
  architectures: ['LlamaForCausalLM'],
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 4096,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 2048,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  pad_token_id: 0,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  transformers_version: '4.28.0.dev0',
  use_cache: true,
  vocab_size: 32000,
};
const LLAMA_31_8B: Json = {
  ...LLAMA_7B,
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  intermediate_size: 14336,
  max_position_embeddings: 131072,
  mlp_bias: false,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 8.0,
    low_freq_factor: 1.0,
    high_freq_factor: 4.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  torch_dtype: 'bfloat16',
  transformers_version: '4.42.3',
  vocab_size: 128256,
};
const LLAMA_2_7B: Json = {
  ...LLAMA_7B,
  _name_or_path: 'meta-llama/Llama-2-7b-hf',
  max_position_embeddings: 4096,
  num_key_value_heads: 32,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  transformers_version: '4.31.0.dev0',
};
const VICUNA_15: Json = {
  ...LLAMA_2_7B,
  _name_or_path: 'vicuna-7b-v1.5',
  transformers_version: '4.31.0',
};

const LONG: Json = {
  rope_type: 'longrope',
  short_factor: Array(64).fill(1.1),
  long_factor: Array(64).fill(4),
};

const PUBLISHED: Readonly<Record<string, readonly [Json, Json]>> = {
  'LLaMA 7B (no context length of its own)': [
    {
      ...LLAMA_7B,
      max_position_embeddings: undefined,
      max_sequence_length: 2048,
      pad_token_id: -1,
      transformers_version: '4.27.0.dev0',
    },
    { num_key_value_heads: 32, head_dim: 128, max_position_embeddings: 2048, rope_theta: 10000 },
  ],
  'Vicuna 7B v1.3': [
    { ...LLAMA_7B, _name_or_path: '/home/ubuntu/vicuna-7b', torch_dtype: 'float16' },
    { num_key_value_heads: 32, rope_scaling: { rope_type: 'default' } },
  ],
  'Llama 2 7B': [LLAMA_2_7B, { max_position_embeddings: 4096, rms_norm_eps: 1e-5 }],
  'Llama 2 13B, saved for tensor parallelism': [
    {
      ...LLAMA_2_7B,
      hidden_size: 5120,
      intermediate_size: 13824,
      num_attention_heads: 40,
      num_hidden_layers: 40,
      num_key_value_heads: 40,
      pretraining_tp: 2,
    },
    { head_dim: 128 },
  ],
  'Vicuna 7B v1.5': [VICUNA_15, { rope_scaling: { rope_type: 'default' } }],
  'Vicuna 7B v1.5 16k': [
    { ...VICUNA_15, max_sequence_length: 16384, rope_scaling: { factor: 4.0, type: 'linear' } },
    { rope_scaling: { rope_type: 'linear', factor: 4 } },
  ],
  'Llama 3 8B': [
    { ...LLAMA_31_8B, max_position_embeddings: 8192, rope_scaling: null, eos_token_id: 128001 },
    { num_key_value_heads: 8, rope_theta: 500000, rope_scaling: { rope_type: 'default' } },
  ],
  'Llama 3.1 8B': [
    LLAMA_31_8B,
    { rope_scaling: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 8192 } },
  ],
  'Llama 3.2 1B': [
    {
      ...LLAMA_31_8B,
      head_dim: 64,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      rope_scaling: { ...(LLAMA_31_8B.rope_scaling as Json), factor: 32.0 },
      tie_word_embeddings: true,
      transformers_version: '4.45.0.dev0',
    },
    { head_dim: 64, tie_word_embeddings: true, rope_scaling: { rope_type: 'llama3', factor: 32 } },
  ],
  'Llama 3.1 8B, saved anew by transformers 5': [
    {
      ...LLAMA_31_8B,
      dtype: 'bfloat16',
      head_dim: 128,
      rope_scaling: undefined,
      rope_theta: undefined,
      rope_parameters: { ...(LLAMA_31_8B.rope_scaling as Json), rope_theta: 500000.0 },
      transformers_version: '5.0.0',
    },
    { rope_theta: 500000, rope_scaling: { rope_type: 'llama3', factor: 8, high_freq_factor: 4 } },
  ],
  Amber: [
    {
      ...LLAMA_7B,
      _name_or_path: '',
      num_key_value_heads: 32,
      pretraining_tp: 1,
      rope_scaling: null,
      torch_dtype: 'float32',
      transformers_version: '4.33.1',
    },
    { num_key_value_heads: 32, rms_norm_eps: 1e-6 },
  ],
  'TinyLlama 1.1B Chat v1.0': [
    {
      ...LLAMA_7B,
      attention_bias: false,
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_key_value_heads: 4,
      pad_token_id: undefined,
      pretraining_tp: 1,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      rope_theta: 10000.0,
      torch_dtype: 'bfloat16',
      transformers_version: '4.35.0',
    },
    { num_key_value_heads: 4, head_dim: 64 },
  ],
  'SmolLM2 135M Instruct': [
    {
      architectures: ['LlamaForCausalLM'],
      attention_bias: false,
      attention_dropout: 0.0,
      bos_token_id: 1,
      eos_token_id: 2,
      hidden_act: 'silu',
      hidden_size: 576,
      initializer_range: 0.041666666666666664,
      intermediate_size: 1536,
      is_llama_config: true,
      max_position_embeddings: 8192,
      mlp_bias: false,
      model_type: 'llama',
      num_attention_heads: 9,
      num_hidden_layers: 30,
      num_key_value_heads: 3,
      pad_token_id: 2,
      pretraining_tp: 1,
      rms_norm_eps: 1e-5,
      rope_interleaved: false,
      rope_scaling: null,
      rope_theta: 100000,
      tie_word_embeddings: true,
      torch_dtype: 'bfloat16',
      'transformers.js_config': { kv_cache_dtype: { q4f16: 'float16', fp16: 'float16' } },
      transformers_version: '4.42.3',
      use_cache: true,
      vocab_size: 49152,
    },
    { head_dim: 64, num_key_value_heads: 3, tie_word_embeddings: true },
  ],
  'Yi 6B': [
    {
      ...LLAMA_7B,
      num_key_value_heads: 4,
      pretraining_tp: 1,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      rope_theta: 5000000.0,
      max_position_embeddings: 4096,
      torch_dtype: 'bfloat16',
      transformers_version: '4.34.0',
      vocab_size: 64000,
    },
    { rope_theta: 5e6, num_key_value_heads: 4, vocab_size: 64000 },
  ],
};

// As it comes from a file: keys that are undefined above are not there.
const parsed = (json: Json): Json => JSON.parse(JSON.stringify(json)) as Json;

describe('config.json of published models', () => {
  test.each(Object.entries(PUBLISHED))('%s', (name, [json, expected]) => {
    const { rope, ...config } = llamaConfig(parsed(json), name);
    expect({ ...rope, ...config }).toMatchObject(expected);
  });

  test('the context that scaling gives', () => {
    const most = (json: Json) => longestSequence(llama(llamaConfig(parsed(json), 'config.json')));
    expect(most(PUBLISHED['Vicuna 7B v1.5 16k']![0])).toBe(16384);
    expect(most(LLAMA_31_8B)).toBe(131072);
    expect(most({ ...LLAMA_2_7B, rope_scaling: { type: 'dynamic', factor: 2 } })).toBe(8192);
    // YaRN's factor is counted in max_position_embeddings, or not.
    const yarn = { type: 'yarn', factor: 4, original_max_position_embeddings: 4096 };
    expect(most({ ...LLAMA_2_7B, rope_scaling: yarn })).toBe(16384);
    expect(most({ ...LLAMA_2_7B, max_position_embeddings: 16384, rope_scaling: yarn })).toBe(16384);
    expect(most({ ...LLAMA_2_7B, original_max_position_embeddings: 1024, rope_scaling: LONG })).toBe(4096);
  });
});

// Numbers by transformers 5.24: rope_init_fn of a config with these values.
test('what attention is multiplied with, and the length beside the scaling that goes first', () => {
  const scaling = (json: Json) =>
    llamaConfig(parsed({ ...LLAMA_2_7B, ...json }), 'config.json').rope.rope_scaling;
  const yarn = (fields: Json) => scaling({ rope_scaling: { type: 'yarn', factor: 40, ...fields } });
  expect(yarn({}).attention_factor).toBeCloseTo(1.3688879454113936, 12);
  expect(yarn({ mscale: 0.6 }).attention_factor).toBeCloseTo(1.3688879454113936, 12);
  expect(yarn({ mscale: 0.6, mscale_all_dim: 1 }).attention_factor).toBeCloseTo(0.8922079936059247, 12);
  expect(yarn({ mscale: 1, mscale_all_dim: 1, attention_factor: 1.25 }).attention_factor).toBe(1.25);
  expect(yarn({ beta_fast: 0, beta_slow: null }).yarn).toEqual({
    beta_fast: 32,
    beta_slow: 1,
    truncate: true,
  });
  const long = scaling({
    max_position_embeddings: 131072,
    original_max_position_embeddings: 4096,
    rope_scaling: { ...LONG, original_max_position_embeddings: 8192 },
  });
  expect(long.original_max_position_embeddings).toBe(4096);
  expect(long.attention_factor).toBeCloseTo(1.1902380714238083, 12);
});

describe('refused, by name', () => {
  test.each<[Json, string, string]>([
    [{ rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] } }, 'unsupported', '"mrope"'],
    [{ rope_scaling: { ...LONG, rope_type: 'su' } }, 'unsupported', '"su"'],
    [{ rope_scaling: { type: 'yarn' } }, 'bad-file', 'factor'],
    [{ rope_scaling: { type: 'yarn', factor: 4, truncate: 'no' } }, 'bad-file', 'rope_scaling.truncate'],
    [{ rope_scaling: { type: 'yarn', factor: 4, beta_fast: 0.5 } }, 'bad-file', 'rope_scaling.beta_fast'],
    [{ rope_scaling: { type: 'yarn', factor: 4, mscale: 'x' } }, 'bad-file', 'rope_scaling.mscale'],
    [{ rope_scaling: { type: 'yarn', factor: 4, attention_factor: -1 } }, 'bad-file', 'attention_factor'],
    [{ rope_scaling: { rope_type: 'longrope', factor: 4 } }, 'bad-file', 'rope_scaling.short_factor'],
    [{ rope_scaling: { ...LONG, long_factor: [1, 2] } }, 'bad-file', 'rope_scaling.long_factor'],
    [{ rope_scaling: { ...LONG, short_factor: Array(64).fill(0) } }, 'bad-file', 'rope_scaling.short_factor'],
    [{ rope_parameters: { rope_type: '__proto__' } }, 'unsupported', '"__proto__"'],
    [
      { rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } },
      'unsupported',
      'rope_parameters.partial_rotary_factor',
    ],
    [
      { rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_theta: 1e4 } },
      'unsupported',
      'both',
    ],
    [{ rope_scaling: { type: 'linear' } }, 'bad-file', 'factor'],
    [{ rope_scaling: { type: 'dynamic', factor: '2' } }, 'bad-file', 'rope_scaling.factor'],
    [{ rope_scaling: [1] }, 'bad-file', 'rope_scaling'],
    [{ rope_theta: -1 }, 'bad-file', 'rope_theta'],
    [
      { rope_scaling: { ...(LLAMA_31_8B.rope_scaling as Json), low_freq_factor: 4 } },
      'bad-file',
      'high_freq_factor',
    ],
    [{ attention_bias: 'yes' }, 'bad-file', 'attention_bias'],
    [{ quantization_config: { bits: 4 } }, 'unsupported', 'quantization_config'],
    [{ layer_types: ['sliding_attention'], sliding_window: 4096 }, 'unsupported', 'layer_types'],
  ])('%j', (changed, code, word) => {
    expect(() => llamaConfig(parsed({ ...LLAMA_2_7B, ...changed }), 'config.json')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(word) as string }) as Error,
    );
  });
});
