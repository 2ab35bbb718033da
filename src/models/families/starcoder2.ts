// StarCoder 2 (Lozhkov et al. 2024): layer norm and biases throughout, an MLP without gate, a window for all layers.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerWithBias } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { allSlide, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function starcoder2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'starcoder2',
    num_key_value_heads: 2,
    max_position_embeddings: 4096,
    hidden_act: 'gelu_pytorch_tanh',
    tie_word_embeddings: true,
  });
  const bias = read.flag('use_bias', true);
  const window = read.window('sliding_window');
  read.skip('residual_dropout', 'norm_type', 'mlp_type'); // the last two say what the code does anyway
  const plan: Blueprint<LineConfig> = {
    config,
    norm: layerWithBias(read.number('norm_epsilon', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { up: 'c_fc', down: 'c_proj', bias, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: allSlide(config.num_hidden_layers, window),
  };
  read.done();
  return decoderOf(plan);
}
