// Granite 3 (Granite Team 2024): LLaMA with multipliers on embeddings, scores, residuals and logits.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function granite(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'granite',
    max_position_embeddings: 2048,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const logits_scaling = read.number('logits_scaling', 1);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: read.flag('mlp_bias', false), activation: config.hidden_act },
    ropes: [read.rope(config)],
    scores: { scale: read.number('attention_multiplier', 1) },
    embeddingScale: read.number('embedding_multiplier', 1),
    residualScale: read.number('residual_multiplier', 1),
    logits: { scale: 1 / logits_scaling },
  };
  read.done();
  return decoderOf(plan);
}
