// Mixtral (Jiang et al. 2024): Mistral whose MLPs are eight experts, of which a token takes two.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { allSlide, GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';
import { routing } from './routing.ts';

export function mixtral(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'mixtral',
    num_key_value_heads: 8,
    max_position_embeddings: 4096 * 32,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const window = read.window('sliding_window');
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: false, out: false }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    experts: {
      ...routing(read, 'num_local_experts', 8, 2),
      block: 'block_sparse_moe',
      intermediate_size: config.intermediate_size,
      activation: config.hidden_act,
      gate: 'w1',
      up: 'w3',
      down: 'w2',
      normalised: true,
      sparse: () => true,
    },
    ropes: [read.rope({ ...config, rope_theta: 1_000_000 })],
    layers: allSlide(config.num_hidden_layers, window),
  };
  read.done();
  return decoderOf(plan);
}
