// Qwen2 and Qwen2.5 (Yang et al. 2024), and what was distilled into them: biases on queries, keys and values.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lastLayersSlide, lineConfig, PRE_NORMS } from './line.ts';

export function qwen2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'qwen2',
    num_key_value_heads: 32,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const eps = read.number('rms_norm_eps', 1e-6);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(eps),
    norms: PRE_NORMS,
    attention: {
      bias: { in: true, out: false },
      out: 'o_proj',
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: lastLayersSlide(read, config.num_hidden_layers),
  };
  read.skip('attention_bias'); // its queries, keys and values have one, whatever this says
  read.done();
  return decoderOf(plan);
}
