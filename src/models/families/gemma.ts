// Gemma (Gemma Team 2024): embeddings scaled by √hidden_size, norms that store γ − 1, heads wider than hidden_size says.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rmsPlusOne } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function gemma(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'gemma',
    head_dim: 256,
    max_position_embeddings: 8192,
    hidden_act: 'gelu_pytorch_tanh',
    tie_word_embeddings: true,
  });
  // The first configs say "gelu" and mean the approximation by tanh, as transformers takes it.
  const activation = config.hidden_act === 'gelu' ? 'gelu_pytorch_tanh' : config.hidden_act;
  const bias = read.flag('attention_bias', false);
  read.only('use_bidirectional_attention', false);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rmsPlusOne(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation },
    ropes: [read.rope(config)],
    embeddingScale: Math.sqrt(config.hidden_size),
  };
  read.done();
  return decoderOf(plan);
}
