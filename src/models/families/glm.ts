// GLM 4 (Team GLM 2024): half of each head turns, neighbours against each other, gate and up in one matrix; its second version
// normalises what attention and MLP give, too.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

const SECOND_NORMS = {
  ...PRE_NORMS,
  afterAttention: 'post_self_attn_layernorm',
  afterMlp: 'post_mlp_layernorm',
} as const;

const family =
  (model_type: string, norms: Blueprint<LineConfig>['norms']) =>
  (json: ConfigJson, where: string): Decoder => {
    const read = readConfig(json, where);
    const config = lineConfig(read, {
      model_type,
      num_key_value_heads: 2,
      head_dim: 128,
      max_position_embeddings: 131_072,
      hidden_act: 'silu',
      tie_word_embeddings: false,
    });
    const share = read.number('partial_rotary_factor', 0.5);
    const plan: Blueprint<LineConfig> = {
      config,
      norm: rms(read.number('rms_norm_eps', 1.5625e-7)),
      norms,
      attention: { bias: { in: read.flag('attention_bias', true), out: false }, out: 'o_proj' },
      mlp: { ...GATED, gate: { fused: 'gate_up_proj' }, bias: false, activation: config.hidden_act },
      ropes: [read.rope({ ...config, interleaved: true, partial_rotary_factor: share })],
    };
    read.done();
    return decoderOf(plan);
  };

/** GLM-4-9B of June 2024. */
export const glm = family('glm', PRE_NORMS);
/** GLM-4-0414, GLM-Z1. */
export const glm4 = family('glm4', SECOND_NORMS);
