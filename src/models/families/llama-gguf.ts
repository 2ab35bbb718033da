// The LLaMA family as llama.cpp writes it: config from `llama.*` keys, names, and the order of q's and k's rows.

import { WhorlError } from '../../base/error.ts';
import type { GgufFile, GgufValue } from '../../sources/checkpoints/gguf.ts';
import type { GgufFamily, GgufWeight } from '../gguf-family.ts';
import { ROPE_FACTORS, ropeScaling } from './llama-gguf-rope.ts';

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
  'rope.scale_linear',
  'rope.scaling.factor',
  'rope.scaling.finetuned',
  'rope.scaling.original_context_length',
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
const ATTENTION_BIASES: Readonly<Record<string, string>> = {
  'attn_q.bias': 'self_attn.q_proj.bias',
  'attn_k.bias': 'self_attn.k_proj.bias',
  'attn_v.bias': 'self_attn.v_proj.bias',
  'attn_output.bias': 'self_attn.o_proj.bias',
};
const MLP_BIASES: Readonly<Record<string, string>> = {
  'ffn_gate.bias': 'mlp.gate_proj.bias',
  'ffn_up.bias': 'mlp.up_proj.bias',
  'ffn_down.bias': 'mlp.down_proj.bias',
};
const PARTS: ReadonlyMap<string, string> = new Map(
  Object.entries({ ...IN_BLOCK, ...ATTENTION_BIASES, ...MLP_BIASES }),
);
const INTERLEAVED = new Set(['attn_q.weight', 'attn_k.weight', 'attn_q.bias', 'attn_k.bias']);

const MAX_BIAS = 1 << 20; // read whole, so bounded; the widest models have some ten thousand elements

function config(file: GgufFile, values: (tensor: string) => Float32Array): Record<string, unknown> {
  for (const [key, value] of file.metadata)
    if (key.startsWith('llama.') && !KNOWN.has(key.slice(6)) && !isOff(value))
      throw new WhorlError(
        'unsupported',
        `${file.path}: the key ${key} is not handled`,
        'use another conversion',
      );
  const heads = count(file, 'attention.head_count');
  const headDim = headSize(file);
  for (const key of ['attention.value_length', 'rope.dimension_count'])
    if ((optionalCount(file, key) ?? headDim) !== headDim)
      throw new WhorlError('unsupported', `${file.path}: llama.${key} is not the size of a head, ${headDim}`);
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2) throw bad(file, 'no matrix token_embd.weight');
  const theta = file.metadata.has('llama.rope.freq_base') ? positive(file, 'rope.freq_base') : 10_000;
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: hasBiases(file, Object.keys(ATTENTION_BIASES)),
    ...tokenId(file, 'bos_token_id', 'bos_token_id'),
    ...tokenId(file, 'eos_token_id', 'eos_token_id'),
    head_dim: headDim,
    hidden_act: 'silu',
    hidden_size: count(file, 'embedding_length'),
    intermediate_size: count(file, 'feed_forward_length'),
    max_position_embeddings: count(file, 'context_length'),
    mlp_bias: hasBiases(file, Object.keys(MLP_BIASES)),
    model_type: 'llama',
    num_attention_heads: heads,
    num_hidden_layers: count(file, 'block_count'),
    num_key_value_heads: optionalCount(file, 'attention.head_count_kv') ?? heads,
    ...tokenId(file, 'padding_token_id', 'pad_token_id'),
    rms_norm_eps: positive(file, 'attention.layer_norm_rms_epsilon'),
    rope_scaling: ropeScaling(file, { rope_theta: theta, head_dim: headDim }, values),
    rope_theta: theta,
    tie_word_embeddings: !file.tensors.has('output.weight'),
    vocab_size: embedding.shape[0],
  };
}

function weights(file: GgufFile): readonly GgufWeight[] {
  const headDim = headSize(file);
  const layers = count(file, 'block_count');
  const tensors = [...file.tensors.values()].filter(({ name }) => name !== ROPE_FACTORS); // said by the config
  return tensors.map(({ name: from, shape }) => {
    const outside = OUTSIDE[from];
    if (outside !== undefined && Object.hasOwn(OUTSIDE, from)) return { name: outside, from };
    const [, layer, part] = /^blk\.(0|[1-9]\d{0,5})\.(.+)$/.exec(from) ?? [];
    const ours = PARTS.get(part ?? '');
    if (layer === undefined || part === undefined || ours === undefined || Number(layer) >= layers)
      throw new WhorlError(
        'unsupported',
        `${file.path}: the tensor ${from} is not handled`,
        'use another conversion',
      );
    const name = `model.layers.${layer}.${ours}`;
    if (!INTERLEAVED.has(part)) return { name, from };
    const vector = part.endsWith('.bias');
    if (shape.length !== (vector ? 1 : 2) || shape[0]! % headDim !== 0 || (vector && shape[0]! > MAX_BIAS))
      throw bad(file, `${from} does not split into heads of ${headDim}`);
    return { name, from, headDim };
  });
}

function headSize(file: GgufFile): number {
  const heads = count(file, 'attention.head_count');
  const hidden = count(file, 'embedding_length');
  const headDim = optionalCount(file, 'attention.key_length') ?? hidden / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw bad(file, `llama.embedding_length ${hidden} does not split into ${heads} heads`);
  return headDim;
}

/** Whether the first block has these biases; Hugging Face's configs know all of a part's or none. */
function hasBiases(file: GgufFile, names: readonly string[]): boolean {
  const there = names.filter((name) => file.tensors.has(`blk.0.${name}`));
  if (there.length > 0 && there.length < names.length)
    throw new WhorlError(
      'unsupported',
      `${file.path}: has ${there.join(', ')} but not all of ${names.join(', ')}`,
      'give the Hugging Face folder',
    );
  return there.length > 0;
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
