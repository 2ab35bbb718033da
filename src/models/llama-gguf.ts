// The LLaMA family as llama.cpp writes it: config from `llama.*` keys, names, and the order of q's and k's rows.

import { WhorlError } from '../base/error.ts';
import type { GgufFile, GgufValue } from '../sources/checkpoints/gguf.ts';
import type { GgufFamily, GgufWeight } from './gguf-family.ts';

export const llamaGguf: GgufFamily = { architecture: 'llama', config, weights };

// Keys of `llama.*` that the config below takes up, or that change nothing.
const KNOWN = new Set([
  'attention.head_count',
  'attention.head_count_kv',
  'attention.key_length',
  'attention.layer_norm_rms_epsilon',
  'attention.value_length',
  'block_count',
  'context_length',
  'embedding_length',
  'feed_forward_length',
  'rope.dimension_count',
  'rope.freq_base',
  'rope.scaling.factor',
  'rope.scaling.type',
  'vocab_size',
]);

const OUTSIDE: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};
const IN_BLOCK: Readonly<Record<string, string>> = {
  'attn_norm.weight': 'input_layernorm.weight',
  'attn_q.weight': 'self_attn.q_proj.weight',
  'attn_k.weight': 'self_attn.k_proj.weight',
  'attn_v.weight': 'self_attn.v_proj.weight',
  'attn_output.weight': 'self_attn.o_proj.weight',
  'ffn_norm.weight': 'post_attention_layernorm.weight',
  'ffn_gate.weight': 'mlp.gate_proj.weight',
  'ffn_up.weight': 'mlp.up_proj.weight',
  'ffn_down.weight': 'mlp.down_proj.weight',
};
const INTERLEAVED = new Set(['attn_q.weight', 'attn_k.weight']);

function config(file: GgufFile): Record<string, unknown> {
  for (const [key, value] of file.metadata)
    if (key.startsWith('llama.') && !KNOWN.has(key.slice(6)) && !isOff(value))
      throw new WhorlError(
        'unsupported',
        `${file.path}: the key ${key} is not handled`,
        'use another conversion',
      );
  const heads = count(file, 'attention.head_count');
  const hidden = count(file, 'embedding_length');
  const headDim = optionalCount(file, 'attention.key_length') ?? hidden / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw bad(file, `llama.embedding_length ${hidden} does not split into ${heads} heads`);
  for (const key of ['attention.value_length', 'rope.dimension_count'])
    if ((optionalCount(file, key) ?? headDim) !== headDim)
      throw new WhorlError('unsupported', `${file.path}: llama.${key} is not the size of a head, ${headDim}`);
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2) throw bad(file, 'no matrix token_embd.weight');
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    ...tokenId(file, 'bos_token_id', 'bos_token_id'),
    ...tokenId(file, 'eos_token_id', 'eos_token_id'),
    head_dim: headDim,
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: count(file, 'feed_forward_length'),
    max_position_embeddings: count(file, 'context_length'),
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: heads,
    num_hidden_layers: count(file, 'block_count'),
    num_key_value_heads: optionalCount(file, 'attention.head_count_kv') ?? heads,
    ...tokenId(file, 'padding_token_id', 'pad_token_id'),
    rms_norm_eps: positive(file, 'attention.layer_norm_rms_epsilon'),
    rope_scaling: ropeScaling(file),
    rope_theta: file.metadata.has('llama.rope.freq_base') ? positive(file, 'rope.freq_base') : 10_000,
    tie_word_embeddings: !file.tensors.has('output.weight'),
    vocab_size: embedding.shape[0],
  };
}

function weights(file: GgufFile): readonly GgufWeight[] {
  const headDim = config(file).head_dim as number;
  const layers = count(file, 'block_count');
  return [...file.tensors.values()].map(({ name: from, shape }) => {
    const outside = OUTSIDE[from];
    if (outside !== undefined && Object.hasOwn(OUTSIDE, from)) return { name: outside, from };
    const [, layer, part] = /^blk\.(0|[1-9]\d{0,5})\.(.+)$/.exec(from) ?? [];
    if (
      layer === undefined ||
      part === undefined ||
      !Object.hasOwn(IN_BLOCK, part) ||
      Number(layer) >= layers
    )
      throw new WhorlError(
        'unsupported',
        `${file.path}: the tensor ${from} is not handled`,
        'use another conversion',
      );
    const name = `model.layers.${layer}.${IN_BLOCK[part]}`;
    if (!INTERLEAVED.has(part)) return { name, from };
    if (shape.length !== 2 || shape[0]! % headDim !== 0)
      throw bad(file, `${from} does not split into heads of ${headDim}`);
    return { name, from, headDim };
  });
}

function ropeScaling(file: GgufFile): Record<string, unknown> | null {
  const type = file.metadata.get('llama.rope.scaling.type') ?? 'none';
  if (type === 'none') return null;
  if (type === 'linear') return { rope_type: 'linear', factor: positive(file, 'rope.scaling.factor') };
  throw new WhorlError(
    'unsupported',
    `${file.path}: llama.rope.scaling.type ${JSON.stringify(type)} is not handled`,
  );
}

/** A switch that is off, or a count of none, of something we do not know. */
const isOff = (value: GgufValue): boolean => value === 0 || value === false;

function tokenId(file: GgufFile, key: string, name: string): Record<string, number> {
  const value = file.metadata.get(`tokenizer.ggml.${key}`);
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? { [name]: value } : {};
}

function count(file: GgufFile, key: string): number {
  const value = optionalCount(file, key);
  if (value === undefined) throw bad(file, `the key llama.${key} is missing`);
  return value;
}

function optionalCount(file: GgufFile, key: string): number | undefined {
  const value = file.metadata.get(`llama.${key}`);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 2 ** 31)
    throw bad(file, `llama.${key} is not a count`);
  return value;
}

function positive(file: GgufFile, key: string): number {
  const value = file.metadata.get(`llama.${key}`);
  if (typeof value !== 'number' || !(value > 0) || value === Number.POSITIVE_INFINITY)
    throw bad(file, `llama.${key} is missing or not a positive number`);
  return shortest(value);
}

/** The shortest decimal that is the same float32: GGUF stores 1e-5 as 9.999999747378752e-6. */
function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

const bad = (file: GgufFile, message: string): WhorlError =>
  new WhorlError('bad-file', `${file.path}: ${message}`);
