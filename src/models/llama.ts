// The LLaMA family (Touvron et al. 2023): RMS norm, rotary positions, grouped-query attention, SwiGLU.

import { nearest, WhorlError } from '../base/error.ts';
import type { Value } from '../engine/graph.ts';
import { add, mul, silu } from '../engine/ops/arithmetic.ts';
import { linear } from '../engine/ops/matmul.ts';
import { rmsNorm } from '../engine/ops/normalise.ts';
import { readConfig } from './config.ts';
import type { Decoder, DecoderConfig, ForwardInput, Weights } from './family.ts';

export interface LlamaConfig extends DecoderConfig {
  readonly intermediate_size: number;
  readonly rms_norm_eps: number;
}

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

/** @throws WhorlError `unsupported` for a key that would change the mathematics and is not handled, `bad-file` for a wrong value */
export function llamaConfig(json: Readonly<Record<string, unknown>>, where: string): LlamaConfig {
  const read = readConfig(json, where);
  const heads = read.size('num_attention_heads');
  const hidden_size = read.size('hidden_size');
  const config: LlamaConfig = {
    model_type: 'llama',
    vocab_size: read.size('vocab_size'),
    hidden_size,
    intermediate_size: read.size('intermediate_size'),
    num_hidden_layers: read.size('num_hidden_layers'),
    num_attention_heads: heads,
    num_key_value_heads: read.size('num_key_value_heads', heads),
    head_dim: read.size('head_dim', hidden_size / heads),
    max_position_embeddings: read.size('max_position_embeddings', 2048),
    rms_norm_eps: read.number('rms_norm_eps', 1e-6),
    rope_theta: read.ropeTheta(10000),
    tie_word_embeddings: read.flag('tie_word_embeddings', false),
  };
  read.only('hidden_act', 'silu');
  read.only('attention_bias', false);
  read.only('mlp_bias', false);
  read.only('rope_scaling', null);
  read.only('rope_interleaved', false);
  read.only('pretraining_tp', 1);
  read.done();
  if (heads % config.num_key_value_heads !== 0)
    throw new WhorlError(
      'bad-file',
      `${where}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${config.num_key_value_heads}`,
      'get the checkpoint again',
    );
  if (config.head_dim % 2 !== 0)
    throw new WhorlError(
      'bad-file',
      `${where}: head_dim ${config.head_dim} is odd`,
      'rotary positions need pairs',
    );
  return config;
}

function shapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hidden_size: E, intermediate_size: F, head_dim: D, vocab_size: V } = config;
  const [Q, K] = [config.num_attention_heads * D, config.num_key_value_heads * D];
  const table = new Map<string, readonly number[]>([[EMBEDDING, [V, E]]]);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`;
    table.set(`${layer}.input_layernorm.weight`, [E]);
    table.set(`${layer}.self_attn.q_proj.weight`, [Q, E]);
    table.set(`${layer}.self_attn.k_proj.weight`, [K, E]);
    table.set(`${layer}.self_attn.v_proj.weight`, [K, E]);
    table.set(`${layer}.self_attn.o_proj.weight`, [E, Q]);
    table.set(`${layer}.post_attention_layernorm.weight`, [E]);
    table.set(`${layer}.mlp.gate_proj.weight`, [F, E]);
    table.set(`${layer}.mlp.up_proj.weight`, [F, E]);
    table.set(`${layer}.mlp.down_proj.weight`, [E, F]);
  }
  table.set('model.norm.weight', [E]);
  if (!config.tie_word_embeddings) table.set(HEAD, [V, E]);
  return table;
}

function attention(w: Weights, i: number, x: Value, input: ForwardInput): Value {
  const layer = `model.layers.${i}.self_attn`;
  const q = input.rotate(linear(x, w(`${layer}.q_proj.weight`))); // [T, H·D]
  const k = input.rotate(linear(x, w(`${layer}.k_proj.weight`))); // [T, K·D]
  const v = linear(x, w(`${layer}.v_proj.weight`)); // [T, K·D]
  return linear(input.attend(i, q, k, v), w(`${layer}.o_proj.weight`));
}

function feedForward(w: Weights, i: number, x: Value): Value {
  const layer = `model.layers.${i}.mlp`;
  const gate = silu(linear(x, w(`${layer}.gate_proj.weight`))); // [T, F]
  return linear(mul(gate, linear(x, w(`${layer}.up_proj.weight`))), w(`${layer}.down_proj.weight`));
}

export function llama(config: LlamaConfig): Decoder<LlamaConfig> {
  const eps = config.rms_norm_eps;
  return {
    kind: 'decoder',
    model_type: 'llama',
    config,
    shapes: shapes(config),
    embedding: EMBEDDING,
    head: config.tie_word_embeddings ? EMBEDDING : HEAD,
    hidden(w, x, input) {
      const { scope } = x;
      const block = (i: number, h: Value): Value => {
        const normal = rmsNorm(h, w(`model.layers.${i}.input_layernorm.weight`), eps);
        const attended = scope.within(`layers.${i}.self_attn`, () => attention(w, i, normal, input));
        const middle = add(h, attended);
        const again = rmsNorm(middle, w(`model.layers.${i}.post_attention_layernorm.weight`), eps);
        return add(
          middle,
          scope.within(`layers.${i}.mlp`, () => feedForward(w, i, again)),
        );
      };
      for (let i = 0; i < config.num_hidden_layers; i++) x = scope.within(`layers.${i}`, () => block(i, x));
      return scope.within('norm', () => rmsNorm(x, w('model.norm.weight'), eps));
    },
  };
}

const FAMILIES: Readonly<
  Record<string, (config: Readonly<Record<string, unknown>>, where: string) => Decoder>
> = {
  llama: (config, where) => llama(llamaConfig(config, where)),
};

/** The family that a config.json names. @throws WhorlError `unsupported` with the nearest family's name */
export function familyOf(config: Readonly<Record<string, unknown>>, where: string): Decoder {
  const type = config.model_type;
  const make = typeof type === 'string' && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (make) return make(config, where);
  const near = typeof type === 'string' ? nearest(type, Object.keys(FAMILIES)) : undefined;
  throw new WhorlError(
    'unsupported',
    `${where}: model_type ${JSON.stringify(type ?? null)} is not supported${near ? ` (did it mean "${near}"?)` : ''}`,
    `supported: ${Object.keys(FAMILIES).join(', ')}`,
  );
}
