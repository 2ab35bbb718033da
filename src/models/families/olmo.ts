// OLMo (Groeneveld et al. 2024): LLaMA with layer norms that have learnt nothing; queries, keys and values may be clipped.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerBare } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function olmo(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'olmo',
    max_position_embeddings: 2048,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const clip = read.optionalNumber('clip_qkv');
  const plan: Blueprint<LineConfig> = {
    config,
    norm: layerBare(1e-5),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj', ...(clip !== undefined && { clip }) },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
  };
  read.done();
  return decoderOf(plan);
}
