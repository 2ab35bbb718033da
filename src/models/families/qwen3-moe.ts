// Qwen3 with sparse experts (Yang et al. 2025): many small ones; some layers may have one dense MLP.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { allSlide, GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';
import { routing, sparseLayers } from './routing.ts';

export function qwen3Moe(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'qwen3_moe',
    num_key_value_heads: 4,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const eps = read.number('rms_norm_eps', 1e-6);
  const bias = read.flag('attention_bias', false);
  // Unlike the dense models' the window is of all layers.
  const slides = read.flag('use_sliding_window', false);
  const window = slides ? read.window('sliding_window', 4096) : undefined;
  read.skip('sliding_window', 'max_window_layers');
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(eps),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj', qkNorm: { over: 'head', norm: rms(eps) } },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    experts: {
      ...routing(read, 'num_experts', 128, 8),
      ...GATED,
      block: 'mlp',
      intermediate_size: read.size('moe_intermediate_size', 768),
      activation: config.hidden_act,
      normalised: read.flag('norm_topk_prob', false),
      sparse: sparseLayers(read),
    },
    ropes: [read.rope(config)],
    layers: allSlide(config.num_hidden_layers, window),
  };
  read.done();
  return decoderOf(plan);
}
