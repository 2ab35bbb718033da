// Qwen3 (Yang et al. 2025): queries and keys of each head are normalised before they turn.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lastLayersSlide, lineConfig, PRE_NORMS } from './line.ts';

export function qwen3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'qwen3',
    num_key_value_heads: 32,
    head_dim: 128,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const eps = read.number('rms_norm_eps', 1e-6);
  const bias = read.flag('attention_bias', false);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(eps),
    norms: PRE_NORMS,
    attention: {
      bias: { in: bias, out: bias },
      out: 'o_proj',
      qkNorm: { over: 'head', norm: rms(eps) },
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: lastLayersSlide(read, config.num_hidden_layers),
  };
  read.done();
  return decoderOf(plan);
}
