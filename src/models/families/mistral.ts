// Mistral (Jiang et al. 2023): LLaMA whose layers may all see a window only.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS, slidingLayers } from './line.ts';

export function mistral(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'mistral',
    num_key_value_heads: 8,
    max_position_embeddings: 4096 * 32,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const window = read.window('sliding_window', 4096);
  const kind = window === undefined ? 'full_attention' : 'sliding_attention';
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias: { in: false, out: false }, out: 'o_proj' },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: slidingLayers(Array(config.num_hidden_layers).fill(kind), window),
  };
  read.done();
  return decoderOf(plan);
}
