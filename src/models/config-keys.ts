// Keys of config.json that no family has to read: such as say nothing about the forward pass of a decoder, and such as
// change it unless they have a value that stands for "not used". goldens/config measures both in transformers.

import { TRANSFORMERS_KEYS } from './transformers-keys.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Every model of transformers may have these: PretrainedConfig of versions 2 to 5. */
const EVERY_CONFIG = words(`
  _attn_implementation_autoset _attn_implementation_internal _commit_hash _experts_implementation_internal
  _name_or_path _output_attentions _post_init_done architectures bos_token_id chunk_size_feed_forward
  cross_attention_hidden_size decoder_start_token_id dtype eos_token_id finetuning_task id2label is_decoder label2id
  model_type output_attentions output_hidden_states output_past pad_token_id prefix problem_type return_dict sep_token_id
  task_specific_params tf_legacy_loss tie_encoder_decoder tokenizer_class torch_dtype torchscript
  transformers_version use_bfloat16 use_cache xla_device`);

/** How text is chosen: GenerationConfig of versions 4 and 5, which older folders keep in config.json. */
const GENERATION = words(`
  _from_model_config assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight assistant_lookbehind
  bad_words_ids begin_suppress_tokens cache_config cache_implementation compile_config constraints
  continuous_batching_config disable_compile diversity_penalty do_sample dola_layers early_stopping
  encoder_no_repeat_ngram_size encoder_repetition_penalty epsilon_cutoff eta_cutoff exponential_decay_length_penalty
  force_words_ids forced_bos_token_id forced_decoder_ids forced_eos_token_id generation_kwargs guidance_scale
  is_assistant length_penalty low_memory max_cache_len max_length max_matching_ngram_size max_new_tokens max_time
  min_length min_new_tokens min_p no_repeat_ngram_size num_assistant_tokens num_assistant_tokens_schedule
  num_beam_groups num_beams num_return_sequences output_logits output_scores penalty_alpha prefill_chunk_size
  prompt_lookup_num_tokens remove_invalid_values renormalize_logits repetition_penalty return_dict_in_generate
  return_legacy_cache sequence_bias speculation_type stop_strings suppress_tokens target_lookbehind temperature
  token_healing top_h top_k top_p typical_p use_mtp watermarking_config`);

/** Training, kernels, bookkeeping of tools: read by no forward pass in inference. */
const TOOLS = words(`
  _attn_implementation _flash_attn_2_enabled attention_dropout attention_probs_dropout_prob attn_dropout
  attn_implementation attn_pdrop auto_map bf16 bos_token classifier_dropout custom_pipelines embd_pdrop embed_dropout embedding_dropout
  eos_token ffn_dropout fp16 fp32 gradient_checkpointing
  hidden_dropout hidden_dropout_prob initializer_range is_llama_config loss_type max_sequence_length model_max_length
  n_special name_or_path neftune_noise_alpha num_labels output_router_logits pad_token predict_special_tokens pretraining_tp resid_dropout
  resid_pdrop router_aux_loss_coef seed seq_length tokenizer_model_max_length tokenizer_padding_side training_dtype
  transformers.js_config trust_remote_code unk_token_id unsloth_fixed unsloth_tiled_mlp unsloth_version
  use_flash_attention_2`);

export const HARMLESS: ReadonlySet<string> = new Set([...EVERY_CONFIG, ...GENERATION, ...TOOLS]);

/** Whether a value says that what the key is for is not used, alone or by the rest of the config; null always does. */
type Unused = (value: unknown, config: Readonly<Record<string, unknown>>) => boolean;

const off: Unused = (value) => value === false;
const empty: Unused = (value) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const exactly =
  (neutral: number): Unused =>
  (value) =>
    value === neutral;
const all =
  (...neutral: readonly unknown[]): Unused =>
  (value) =>
    Array.isArray(value) && value.every((item) => neutral.includes(item));
const never: Unused = () => false;
/** A quantization_config that names no method, or bitsandbytes and neither of its widths, as it leaves plain weights. */
const notQuantised: Unused = (value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { quant_method, load_in_4bit, load_in_8bit, ...others } = value as Record<string, unknown>;
  const isIdle = (item: unknown) => (item ?? false) === false || empty(item, {});
  if (![load_in_4bit, load_in_8bit].every(isIdle)) return false;
  if (quant_method === 'bitsandbytes') return load_in_4bit === false && load_in_8bit === false;
  return (quant_method ?? null) === null && Object.values(others).every(isIdle);
};

const each = (unused: Unused, keys: string): [string, Unused][] => words(keys).map((key) => [key, unused]);

/** Known to change what is computed in the families that read them: by key, when they do not. */
export const MATTERS: ReadonlyMap<string, Unused> = new Map([
  ...each(
    off,
    `add_cross_attention alibi attention_bias attention_k_eq_v attn_bias bias is_encoder_decoder is_moe lm_head_bias
     mlp_bias multi_query mup_enabled new_decoder_architecture norm_topk_prob parallel_attn prefix_lm qk_layernorm qk_norm qkv_bias rope_interleave rope_interleaved
     scale_attn_by_inverse_layer_idx scale_embedding use_bias use_bidirectional_attention use_parallel_residual use_post_norm
     use_mrope use_qk_norm use_sliding_window`,
  ),
  ...each(
    exactly(1),
    `attention_in_multiplier attention_out_multiplier decoder_sparse_step embedding_multiplier key_multiplier
     lm_head_multiplier logit_scale logits_scaling partial_rotary_factor residual_multiplier rope_ratio rotary_pct rotary_scaling_factor scale_emb`,
  ),
  ...each(
    exactly(0),
    'num_kv_shared_layers num_nextn_predict_layers final_logit_softcapping attn_logit_softcapping',
  ),
  ...each((_, { use_sliding_window }) => use_sliding_window !== true, 'max_window_layers'),
  ...each(all('full_attention', 'attention'), 'layer_types'),
  ...each(all('dense'), 'mlp_layer_types'),
  ...each(all(1, true), 'no_rope_layers'),
  ...each(notQuantised, 'quantization_config'),
  ...each(empty, 'pruned_heads per_layer_config mlp_only_layers'),
  ...each(
    never,
    `activation_function attention_chunk_size attention_multiplier clip_qkv first_k_dense_replace hidden_activation
     kv_lora_rank layer_norm_eps layer_norm_epsilon moe_intermediate_size n_routed_experts norm_eps num_experts
     num_experts_per_tok num_local_experts position_embedding_type q_lora_rank
     query_pre_attn_scalar rotary_dim sliding_window sliding_window_pattern text_config vision_config audio_config`,
  ),
]);

/**
 * Whether the class of that model_type never looks at a key that matters elsewhere, whatever its value: measured in
 * transformers 5 (goldens/config/make_ignored.py). Code of the folder's own (`auto_map`) may.
 */
export function isIgnored(key: string, config: Readonly<Record<string, unknown>>): boolean {
  const { model_type: family } = config;
  if (hasOwnCode(config) || typeof family !== 'string' || !Object.hasOwn(READ_BY, family)) return false;
  return IGNORED.has(key) && !READ_BY[family]!.includes(key);
}

/** Whether other classes of transformers declare a key that changes nothing where a family's own config has none (goldens/config/make_foreign.py). */
export const isForeign = (key: string, config: Readonly<Record<string, unknown>>): boolean =>
  TRANSFORMERS_KEYS.has(key) && !hasOwnCode(config);

const hasOwnCode = ({ auto_map: code }: Readonly<Record<string, unknown>>): boolean =>
  (code ?? null) !== null;

const IGNORED: ReadonlySet<string> = new Set(
  words(`
  add_cross_attention alibi attention_bias attention_k_eq_v attn_bias bias is_moe lm_head_bias mlp_bias multi_query
  mup_enabled new_decoder_architecture norm_topk_prob parallel_attn prefix_lm qk_layernorm qk_norm qkv_bias
  rope_interleave rope_interleaved scale_attn_by_inverse_layer_idx scale_embedding use_bias use_bidirectional_attention
  use_parallel_residual use_post_norm use_mrope use_qk_norm use_sliding_window
  attention_in_multiplier attention_out_multiplier embedding_multiplier key_multiplier lm_head_multiplier logit_scale
  logits_scaling residual_multiplier rope_ratio scale_emb attention_multiplier
  rotary_pct final_logit_softcapping attn_logit_softcapping
  decoder_sparse_step num_kv_shared_layers num_nextn_predict_layers first_k_dense_replace n_routed_experts num_experts
  num_experts_per_tok num_local_experts moe_intermediate_size kv_lora_rank q_lora_rank rotary_dim max_window_layers
  attention_chunk_size sliding_window sliding_window_pattern query_pre_attn_scalar
  layer_norm_eps layer_norm_epsilon norm_eps clip_qkv activation_function hidden_activation
  no_rope_layers mlp_only_layers pruned_heads position_embedding_type`),
);

/** By model_type, of those keys the ones that count although the family's file does not ask for them. */
const READ_BY: Readonly<Record<string, readonly string[]>> = {
  llama: [],
  mistral: [],
  mixtral: ['num_experts'],
  qwen2: [],
  qwen2_moe: [],
  qwen3: [],
  qwen3_moe: [],
  gemma: ['use_bidirectional_attention'],
  gemma2: [],
  gemma3_text: ['final_logit_softcapping'],
  phi: [],
  phi3: [],
  gpt2: [],
  gpt_neox: [],
  gptj: [],
  olmo2: [],
  granite: [],
  stablelm: [],
  starcoder2: [],
  smollm3: [],
  cohere: [],
  falcon: [],
  bloom: [],
  opt: [],
  t5: [],
  mt5: [],
  ministral: [],
  ministral3: [],
  olmo: [],
  olmo3: [],
  olmoe: [],
  cohere2: [],
  exaone4: [],
  seed_oss: [],
  ernie4_5: [],
  glm: [],
  glm4: [],
  nemotron: [],
  arcee: [],
};

/** Fields of `rope_scaling` that some kind of scaling reads. */
export const ROPE_FIELDS: ReadonlySet<string> = new Set(
  words(`
  attention_factor beta_fast beta_slow factor high_freq_factor long_factor long_mscale low_freq_factor mrope_interleaved
  mrope_section mscale mscale_all_dim original_max_position_embeddings partial_rotary_factor short_factor
  short_mscale truncate alpha finetuned full_attention sliding_attention`),
);
