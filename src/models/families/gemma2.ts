// Gemma 2 (Gemma Team 2024): norms before and after both parts of a block, soft caps on scores and logits, every second
// layer sees a window.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rmsPlusOne } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, slidingLayers } from './line.ts';

export const SANDWICH = {
  beforeAttention: 'input_layernorm',
  afterAttention: 'post_attention_layernorm',
  beforeMlp: 'pre_feedforward_layernorm',
  afterMlp: 'post_feedforward_layernorm',
} as const;

export function gemma2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'gemma2',
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 8192,
    hidden_act: 'gelu_pytorch_tanh',
    activationKey: 'hidden_activation',
    tie_word_embeddings: true,
  });
  read.skip('hidden_act'); // beside hidden_activation it is not read
  read.only('use_bidirectional_attention', false);
  const bias = read.flag('attention_bias', false);
  const window = read.window('sliding_window', 4096);
  const softcap = read.optionalNumber('attn_logit_softcapping', 50);
  const cap = read.optionalNumber('final_logit_softcapping', 30);
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => i % 2 === 0);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rmsPlusOne(read.number('rms_norm_eps', 1e-6)),
    norms: SANDWICH,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: slidingLayers(kinds, window),
    scores: {
      scale: read.number('query_pre_attn_scalar', 256) ** -0.5,
      ...(softcap !== undefined && { softcap }),
    },
    embeddingScale: Math.sqrt(config.hidden_size),
    ...(cap !== undefined && { logits: { softcap: cap } }),
  };
  read.done();
  return decoderOf(plan);
}
