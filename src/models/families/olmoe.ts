// OLMoE (Muennighoff et al. 2024): many small experts; queries and keys are normalised as whole rows.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';
import { routing } from './routing.ts';

export function olmoe(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'olmoe',
    max_position_embeddings: 4096,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const clip = read.optionalNumber('clip_qkv');
  const norm = rms(read.number('rms_norm_eps', 1e-5));
  const plan: Blueprint<LineConfig> = {
    config,
    norm,
    norms: PRE_NORMS,
    attention: {
      bias: { in: bias, out: bias },
      out: 'o_proj',
      qkNorm: { over: 'row', norm },
      ...(clip !== undefined && { clip }),
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    experts: {
      ...routing(read, 'num_experts', 64, 8),
      ...GATED,
      block: 'mlp',
      intermediate_size: config.intermediate_size,
      activation: config.hidden_act,
      normalised: read.flag('norm_topk_prob', false),
      sparse: () => true,
    },
    ropes: [read.rope(config)],
  };
  read.done();
  return decoderOf(plan);
}
