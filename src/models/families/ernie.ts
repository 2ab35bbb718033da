// ERNIE 4.5 without experts (Baidu 2025): LLaMA of which neighbours turn; biases everywhere where it says so.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function ernie(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'ernie4_5',
    num_key_value_heads: 2,
    head_dim: 128,
    max_position_embeddings: 131_072,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  });
  const bias = read.flag('use_bias', false);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias, activation: config.hidden_act },
    ropes: [read.rope({ ...config, interleaved: true, rope_theta: 500_000 })],
  };
  read.done();
  return decoderOf(plan);
}
