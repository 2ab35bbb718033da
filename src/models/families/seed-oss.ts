// Seed-OSS (ByteDance 2025): LLaMA with biases on queries, keys and values; one on attention's output where it says so.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function seedOss(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'seed_oss',
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 524_288,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = { in: read.flag('attention_bias', true), out: read.flag('attention_out_bias', false) };
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias, out: 'o_proj' },
    mlp: { ...GATED, bias: read.flag('mlp_bias', false), activation: config.hidden_act },
    ropes: [read.rope(config)],
  };
  read.skip('residual_dropout'); // of training
  read.done();
  return decoderOf(plan);
}
