// Qwen3 (Yang et al. 2025): queries and keys of each head are normalised before they turn.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS, slidingLayers } from './line.ts';

export function qwen3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'qwen3',
    num_key_value_heads: 32,
    head_dim: 128,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const eps = read.number('rms_norm_eps', 1e-6);
  // Off, the window and the layer it begins at are left in the file without meaning.
  const slides = read.flag('use_sliding_window', false);
  const window = slides ? read.window('sliding_window', 4096) : undefined;
  const from = read.count('max_window_layers', 28);
  read.skip('sliding_window');
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => window !== undefined && i >= from);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(eps),
    norms: PRE_NORMS,
    attention: {
      bias: { in: read.flag('attention_bias', false), out: read.flag('attention_bias', false) },
      out: 'o_proj',
      qkNorm: { over: 'head', norm: rms(eps) },
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    layers: slidingLayers(kinds, window),
  };
  read.done();
  return decoderOf(plan);
}
