// Command R7B and Command A (Cohere 2024): Command R of which three layers in four see a window; the others have no positions.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerWithoutBias } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { NOTES } from './cohere.ts';
import { GATED, type LineConfig, lineConfig, turnWhereTheySlide } from './line.ts';

export function cohere2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'cohere2',
    max_position_embeddings: 8192,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  });
  read.only('head_dim', config.hidden_size / config.num_attention_heads); // transformers takes no other
  const bias = read.flag('attention_bias', false);
  const window = read.size('sliding_window', 4096);
  const every = read.size('sliding_window_pattern', 4);
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => (i + 1) % every !== 0);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: layerWithoutBias(read.number('layer_norm_eps', 1e-5)),
    norms: { beforeAttention: 'input_layernorm' },
    parallel: true,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope({ ...config, interleaved: true })],
    layers: turnWhereTheySlide(kinds, window),
    logits: { scale: read.number('logit_scale', 0.0625) },
  };
  read.skip(...NOTES);
  read.done();
  return decoderOf(plan);
}
