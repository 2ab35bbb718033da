// Nemotron 3 and 4, Minitron (Parmar et al. 2024): layer norms whose weights count from 1, half of each head turns, squared
// ReLU without a gate.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerPlusOne } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { type LineConfig, lineConfig, PRE_NORMS, UNGATED } from './line.ts';

export function nemotron(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'nemotron',
    max_position_embeddings: 4096,
    hidden_act: 'relu2',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const share = read.number('partial_rotary_factor', 0.5);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: layerPlusOne(read.number('norm_eps', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...UNGATED, bias: read.flag('mlp_bias', false), activation: config.hidden_act },
    ropes: [read.rope({ ...config, partial_rotary_factor: share })],
  };
  read.done();
  return decoderOf(plan);
}
