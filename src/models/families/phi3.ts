// Phi-3, 3.5 and 4 (Abdin et al. 2024): LLaMA with fused projections; frequencies for long texts are others (LongRoPE).

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { allSlide, GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function phi3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'phi3',
    max_position_embeddings: 4096,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  // Written by Phi-4-mini; transformers reads none of them, and has no biases here.
  for (const key of ['attention_bias', 'mlp_bias', 'lm_head_bias']) read.only(key, false);
  for (const key of ['full_attn_mod', 'interpolate_factor']) read.only(key, 1);
  const window = read.window('sliding_window');
  const rope = read.rope({
    ...config,
    partial_rotary_factor: read.number('partial_rotary_factor', 1),
    aliases: { su: 'longrope', yarn: 'longrope' }, // as its first configs call it
    original_max_position_embeddings: 4096,
  });
  const { rope_type, original_max_position_embeddings } = rope.rope_scaling;
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: false, out: false }, fused: 'qkv_proj', out: 'o_proj' },
    mlp: { ...GATED, gate: { fused: 'gate_up_proj' }, bias: false, activation: config.hidden_act },
    ropes: [rope],
    layers: allSlide(config.num_hidden_layers, window),
    ...(rope_type === 'longrope' && { recomputedBeyond: original_max_position_embeddings }),
  };
  read.done();
  return decoderOf(plan);
}
