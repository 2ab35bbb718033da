// Qwen1.5-MoE and Qwen2-57B-A14B (Yang et al. 2024): sparse experts beside one that every token goes through.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS, slidingLayers } from './line.ts';
import { routing, sparseLayers } from './routing.ts';

export function qwen2Moe(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'qwen2_moe',
    num_key_value_heads: 16,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const slides = read.flag('use_sliding_window', false);
  const window = slides ? read.window('sliding_window', 4096) : undefined;
  const below = read.count('max_window_layers', 28);
  read.skip('sliding_window');
  // Every other one of the first layers, where Qwen2 has all of the last ones.
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => slides && i % 2 === 0 && i < below);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias: { in: read.flag('qkv_bias', true), out: false }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    experts: {
      ...routing(read, 'num_experts', 60, 4),
      ...GATED,
      block: 'mlp',
      intermediate_size: read.size('moe_intermediate_size', 1408),
      activation: config.hidden_act,
      normalised: read.flag('norm_topk_prob', false),
      shared: read.size('shared_expert_intermediate_size', 5632),
      sparse: sparseLayers(read),
    },
    ropes: [read.rope(config)],
    layers: slidingLayers(kinds, window),
  };
  read.done();
  return decoderOf(plan);
}
