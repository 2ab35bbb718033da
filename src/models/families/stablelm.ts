// StableLM 3B and 2 (Bellagente et al. 2024): layer norm, a quarter of each head turns; parts side by side and a norm of
// each head's queries and keys (12B) where it says so.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerOfHeads, layerWithBias } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS, QK_LAYERNORMS } from './line.ts';

export function stablelm(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'stablelm',
    num_key_value_heads: 32,
    max_position_embeddings: 4096,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const parallel = read.flag('use_parallel_residual', false);
  const eps = read.number('layer_norm_eps', 1e-5);
  const share = read.number('partial_rotary_factor', 0.25);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: layerWithBias(eps),
    norms: parallel ? { beforeAttention: PRE_NORMS.beforeAttention } : PRE_NORMS,
    parallel,
    attention: {
      bias: { in: read.flag('use_qkv_bias', false), out: false },
      out: 'o_proj',
      ...(read.flag('qk_layernorm', false) && {
        qkNorm: { over: 'heads', norm: layerOfHeads(eps), names: QK_LAYERNORMS },
      }),
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope({ ...config, partial_rotary_factor: share })],
  };
  read.done();
  return decoderOf(plan);
}
