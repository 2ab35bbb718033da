// The families that llama.cpp knows, as it writes them: keys, names, layouts. What it keeps in no key stands in `config`:
// the activation of the family's published models; a window outside of Gemma is lost, as it is to llama.cpp (Phi-3's files say theirs).

import { count, type GgufFamily, type GgufKey, type GgufName, positive } from '../gguf-family.ts';
import type { GgufHeader } from '../gguf-keys.ts';
import { GPT_LINE } from './gguf-gpt.ts';

const RMS = { 'attention.layer_norm_rms_epsilon': positive('rms_norm_eps') };
const LAYER = { 'attention.layer_norm_epsilon': positive('layer_norm_eps') };
const SIZES = {
  context_length: count('max_position_embeddings'),
  feed_forward_length: count('intermediate_size'),
};
const KV_HEADS = { 'attention.head_count_kv': { ...count('num_key_value_heads'), absent: null } };
const LINE = { ...SIZES, ...KV_HEADS };

const IN = ['attn_q', 'attn_k', 'attn_v'];
const ATTENTION = [...IN, 'attn_output'];
const GATED = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const PROJECTIONS = {
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};
const PRE_NORMS = { attn_norm: 'input_layernorm', ffn_norm: 'post_attention_layernorm' };
const QK_NORMS = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };
/** Of each head its own tensor, which llama.cpp has as rows of one. */
const QK_NORMS_APART: Readonly<Record<string, GgufName>> = {
  attn_q_norm: { to: 'self_attn.q_layernorm.norms.*', rows: 'apart' },
  attn_k_norm: { to: 'self_attn.k_layernorm.norms.*', rows: 'apart' },
};
/** The router, and of each expert its own tensors, which llama.cpp has stacked. @param mlp ours, and its parts' names */
const experts = (mlp: string, gate: string, up: string, down: string): Record<string, GgufName> => ({
  ffn_gate_inp: `${mlp}.gate`,
  ffn_gate_exps: { to: `${mlp}.experts.*.${gate}`, rows: 'apart' },
  ffn_up_exps: { to: `${mlp}.experts.*.${up}`, rows: 'apart' },
  ffn_down_exps: { to: `${mlp}.experts.*.${down}`, rows: 'apart' },
});
const QWEN_EXPERTS = experts('mlp', 'gate_proj', 'up_proj', 'down_proj');
/** @param name config.json's for how many there are */
const expertKeys = (name: string): Record<string, GgufKey> => ({
  expert_count: count(name),
  expert_used_count: count('num_experts_per_tok'),
});
const QWEN_EXPERT_KEYS = {
  ...LINE,
  ...RMS,
  ...expertKeys('num_experts'),
  expert_feed_forward_length: count('moe_intermediate_size'),
};
const interleaved = (to: string): GgufName => ({ to, rows: 'interleaved' });
/** The rows of q and k as llama.cpp's converter reorders them for architectures that turn neighbours. */
const TURNED = {
  ...PROJECTIONS,
  attn_q: interleaved('self_attn.q_proj'),
  attn_k: interleaved('self_attn.k_proj'),
};
/** Gemma's norms, in which llama.cpp stores 1 + w. */
const plusOne = (names: Readonly<Record<string, string>>): Record<string, GgufName> =>
  Object.fromEntries(Object.entries(names).map(([from, to]) => [from, { to, plus: -1 }]));

const OUTSIDE = { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' };

/** What a family of LLaMA's line is unless it says otherwise. */
const line = (
  architecture: string,
  type: string,
  name: string,
  own: Partial<GgufFamily> & Pick<GgufFamily, 'block'>,
): GgufFamily => ({
  architecture,
  keys: { ...LINE, ...RMS },
  headDim: 'head_dim',
  ropeTheta: 'rope_theta',
  outside: OUTSIDE,
  layers: 'model.layers.',
  ...own,
  config: { model_type: type, architectures: [`${name}ForCausalLM`], hidden_act: 'silu', ...own.config },
});

const LLAMA_BIASES = { attention_bias: ATTENTION, mlp_bias: Object.keys(GATED) };
/** The square of what q·k is divided by; llama.cpp tells the largest Gemma by its layers. */
const scoreScale =
  (largest: number): NonNullable<GgufFamily['derived']> =>
  ({ hidden, heads, headDim, layers }) => ({
    query_pre_attn_scalar: layers === largest ? hidden / heads : headDim,
  });
const GEMMA = {
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_act: 'gelu_pytorch_tanh',
};
const gemmaOutside = { ...OUTSIDE, output_norm: { to: 'model.norm', plus: -1 } };
const SANDWICH = plusOne({
  attn_norm: 'input_layernorm',
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
});
const CAPS = {
  attn_logit_softcapping: { ...positive('attn_logit_softcapping'), absent: null },
  final_logit_softcapping: { ...positive('final_logit_softcapping'), absent: null },
};

const LATER: readonly GgufFamily[] = [
  // Mistral's files say "llama", too; the window of its first version is in none of them.
  line('llama', 'llama', 'Llama', {
    also: ['mistral'],
    block: { ...TURNED, ...PRE_NORMS, ...GATED },
    biases: LLAMA_BIASES,
  }),
  line('llama', 'mixtral', 'Mixtral', {
    keys: { ...LINE, ...RMS, ...expertKeys('num_local_experts') },
    block: { ...TURNED, ...PRE_NORMS, ...experts('block_sparse_moe', 'w1', 'w3', 'w2') },
  }),
  line('qwen2', 'qwen2', 'Qwen2', { block: { ...PROJECTIONS, ...PRE_NORMS, ...GATED }, biased: IN }),
  line('qwen3', 'qwen3', 'Qwen3', {
    wants: 'no-biases',
    block: { ...PROJECTIONS, ...QK_NORMS, ...PRE_NORMS, ...GATED },
    biases: { attention_bias: ATTENTION },
  }),
  // llama.cpp takes every layer's MLP for sparse; what a token's experts weigh together is one in Qwen3's alone.
  line('qwen2moe', 'qwen2_moe', 'Qwen2Moe', {
    headDim: undefined,
    head: 'stored',
    config: { norm_topk_prob: false },
    keys: {
      ...QWEN_EXPERT_KEYS,
      expert_shared_feed_forward_length: count('shared_expert_intermediate_size'),
    },
    block: {
      ...PROJECTIONS,
      ...PRE_NORMS,
      ...QWEN_EXPERTS,
      ffn_gate_inp_shexp: { to: 'mlp.shared_expert_gate', rows: 'one' },
      ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
      ffn_up_shexp: 'mlp.shared_expert.up_proj',
      ffn_down_shexp: 'mlp.shared_expert.down_proj',
    },
    biases: { qkv_bias: IN },
  }),
  line('qwen3moe', 'qwen3_moe', 'Qwen3Moe', {
    wants: 'no-biases',
    config: { norm_topk_prob: true },
    keys: QWEN_EXPERT_KEYS,
    block: { ...PROJECTIONS, ...QK_NORMS, ...PRE_NORMS, ...QWEN_EXPERTS },
    biases: { attention_bias: ATTENTION },
  }),
  line('gemma', 'gemma', 'Gemma', {
    wants: 'no-biases',
    head: 'tied',
    config: { hidden_act: 'gelu_pytorch_tanh' },
    outside: gemmaOutside,
    block: { ...PROJECTIONS, ...plusOne(PRE_NORMS), ...GATED },
    biases: { attention_bias: ATTENTION },
  }),
  line('gemma2', 'gemma2', 'Gemma2', {
    wants: 'no-biases',
    head: 'tied',
    config: GEMMA,
    keys: {
      ...LINE,
      ...RMS,
      // llama.cpp's own where the first files have no such key.
      attn_logit_softcapping: { ...positive('attn_logit_softcapping'), absent: 50 },
      final_logit_softcapping: { ...positive('final_logit_softcapping'), absent: 30 },
      'attention.sliding_window': { ...count('sliding_window'), absent: 4096 },
    },
    derived: scoreScale(46),
    outside: gemmaOutside,
    block: { ...PROJECTIONS, ...SANDWICH, ...GATED },
    biases: { attention_bias: ATTENTION },
  }),
  line('gemma3', 'gemma3_text', 'Gemma3', {
    wants: 'no-biases',
    config: { ...GEMMA, sliding_window_pattern: 6 },
    keys: {
      ...LINE,
      ...RMS,
      ...CAPS,
      'attention.sliding_window': count('sliding_window'),
      'attention.sliding_window_pattern': { ...count('sliding_window_pattern'), absent: null },
      'rope.freq_base_swa': { ...positive('rope_local_base_freq'), absent: 10_000 },
    },
    derived: scoreScale(62),
    outside: gemmaOutside,
    block: { ...PROJECTIONS, ...plusOne(QK_NORMS), ...SANDWICH, ...GATED },
    biases: { attention_bias: ATTENTION },
  }),
  line('olmo2', 'olmo2', 'Olmo2', {
    wants: 'no-biases',
    head: 'stored',
    block: {
      ...PROJECTIONS,
      ...QK_NORMS,
      post_attention_norm: 'post_attention_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
      ...GATED,
    },
    biases: { attention_bias: ATTENTION },
  }),
  line('granite', 'granite', 'Granite', {
    keys: {
      ...LINE,
      ...RMS,
      'attention.scale': positive('attention_multiplier'),
      embedding_scale: positive('embedding_multiplier'),
      residual_scale: positive('residual_multiplier'),
      logit_scale: positive('logits_scaling'),
    },
    block: { ...TURNED, ...PRE_NORMS, ...GATED },
    biases: LLAMA_BIASES,
  }),
  line('smollm3', 'smollm3', 'SmolLM3', {
    wants: 'no-biases',
    config: { no_rope_layer_interval: 4 },
    block: { ...TURNED, ...PRE_NORMS, ...GATED },
    biases: LLAMA_BIASES,
  }),
  line('command-r', 'cohere', 'Cohere', {
    wants: 'no-biases',
    head: 'tied',
    keys: { ...LINE, ...LAYER, logit_scale: positive('logit_scale') },
    switches: { use_qk_norm: 'attn_q_norm' },
    block: { ...PROJECTIONS, ...QK_NORMS, attn_norm: 'input_layernorm', ...GATED },
    biases: { attention_bias: ATTENTION },
  }),
  line('starcoder2', 'starcoder2', 'Starcoder2', {
    wants: 'biases',
    config: { hidden_act: 'gelu_pytorch_tanh' },
    keys: { ...LINE, 'attention.layer_norm_epsilon': positive('norm_epsilon') },
    block: { ...PROJECTIONS, ...PRE_NORMS, ffn_up: 'mlp.c_fc', ffn_down: 'mlp.c_proj' },
    biases: { use_bias: [...ATTENTION, 'ffn_up', 'ffn_down'] },
    biased: [...Object.keys(PRE_NORMS), 'output_norm'],
  }),
  line('stablelm', 'stablelm', 'StableLm', {
    head: 'stored',
    keys: {
      ...LINE,
      ...LAYER,
      use_parallel_residual: { name: 'use_parallel_residual', as: 'flag', absent: false },
    },
    rotaryShare: 'partial_rotary_factor',
    switches: { qk_layernorm: 'attn_q_norm' },
    block: { ...PROJECTIONS, ...QK_NORMS_APART, ...PRE_NORMS, ...GATED },
    biases: { use_qkv_bias: IN },
    biased: [...Object.keys(PRE_NORMS), 'output_norm'],
  }),
  line('phi2', 'phi', 'Phi', {
    head: 'stored',
    config: { hidden_act: 'gelu_new' },
    keys: { ...LINE, ...LAYER },
    rotaryShare: 'partial_rotary_factor',
    outside: { ...OUTSIDE, output_norm: 'model.final_layernorm' },
    block: {
      ...PROJECTIONS,
      attn_output: 'self_attn.dense',
      attn_norm: 'input_layernorm',
      ffn_up: 'mlp.fc1',
      ffn_down: 'mlp.fc2',
    },
    biased: [...ATTENTION, 'attn_norm', 'ffn_up', 'ffn_down', 'output_norm', 'output'],
  }),
  line('phi3', 'phi3', 'Phi3', {
    headDim: undefined,
    longrope: true,
    windowUnread: true,
    keys: {
      ...LINE,
      ...RMS,
      'attention.sliding_window': { ...count('sliding_window'), absent: null, none: 0 },
      'rope.scaling.original_context_length': { ...count('original_max_position_embeddings'), absent: null },
    },
    rotaryShare: 'partial_rotary_factor',
    block: {
      attn_qkv: 'self_attn.qkv_proj',
      attn_output: 'self_attn.o_proj',
      ...PRE_NORMS,
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
    },
  }),
  {
    architecture: 'gptneox',
    wants: 'biases',
    head: 'stored',
    config: { model_type: 'gpt_neox', architectures: ['GPTNeoXForCausalLM'], hidden_act: 'gelu' },
    keys: {
      ...SIZES,
      ...LAYER,
      use_parallel_residual: { name: 'use_parallel_residual', as: 'flag', absent: true },
    },
    rotaryShare: 'rotary_pct',
    ropeTheta: 'rotary_emb_base',
    outside: {
      token_embd: 'gpt_neox.embed_in',
      output_norm: 'gpt_neox.final_layer_norm',
      output: 'embed_out',
    },
    layers: 'gpt_neox.layers.',
    block: {
      attn_qkv: { to: 'attention.query_key_value', rows: 'by-part' },
      attn_output: 'attention.dense',
      attn_norm: 'input_layernorm',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.dense_h_to_4h',
      ffn_down: 'mlp.dense_4h_to_h',
    },
    biases: { attention_bias: ['attn_qkv', 'attn_output'] },
    biased: ['attn_norm', 'ffn_norm', 'ffn_up', 'ffn_down', 'output_norm'],
  },
];

/** Families that we read from GGUF and write as such. */
export const GGUF_FAMILIES: readonly GgufFamily[] = [...LATER, ...GPT_LINE];

/**
 * The family of a file with this metadata; undefined: none of ours. Mixtral's files are LLaMA's with a number of experts.
 */
export function ggufFamilyOf(metadata: GgufHeader['metadata']): GgufFamily | undefined {
  const architecture = metadata.get('general.architecture');
  const sparse = Number(metadata.get(`${String(architecture)}.expert_count`) ?? 0) > 0;
  const own = GGUF_FAMILIES.filter((family) => family.architecture === architecture);
  return own.find(({ keys }) => 'expert_count' in keys === sparse) ?? own[0];
}
