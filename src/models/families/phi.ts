// Phi 1 to 2 (Li et al. 2023): parts side by side of one layer norm, biases everywhere and on the head.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerWithBias } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { type LineConfig, lineConfig, QK_LAYERNORMS } from './line.ts';

export function phi(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'phi',
    max_position_embeddings: 2048,
    hidden_act: 'gelu_new',
    tie_word_embeddings: false,
  });
  const norm = layerWithBias(read.number('layer_norm_eps', 1e-5));
  const share = read.number('partial_rotary_factor', 0.5);
  const plan: Blueprint<LineConfig> = {
    config,
    norm,
    norms: { beforeAttention: 'input_layernorm' },
    finalNorm: 'final_layernorm',
    parallel: true,
    attention: {
      bias: { in: true, out: true },
      out: 'dense',
      ...(read.flag('qk_layernorm', false) && { qkNorm: { over: 'head', norm, names: QK_LAYERNORMS } }),
    },
    mlp: { up: 'fc1', down: 'fc2', bias: true, activation: config.hidden_act },
    ropes: [read.rope({ ...config, partial_rotary_factor: share })],
    headBias: true,
  };
  read.done();
  return decoderOf(plan);
}
