// SmolLM3 (Hugging Face 2025): LLaMA in which some layers have no positions at all.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, PRE_NORMS } from './line.ts';

export function smollm3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'smollm3',
    num_key_value_heads: 4,
    max_position_embeddings: 32_768,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  });
  const bias = read.flag('attention_bias', false);
  const slides = read.flag('use_sliding_window', false);
  const window = slides ? read.window('sliding_window') : undefined;
  const every = read.size('no_rope_layer_interval', 4);
  read.skip('sliding_window', 'max_window_layers');
  const turns = read.perLayer('no_rope_layers', config.num_hidden_layers, [0, 1], (i) =>
    (i + 1) % every !== 0 ? 1 : 0,
  );
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => window !== undefined && turns[i] === 0);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-6)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: read.flag('mlp_bias', false), activation: config.hidden_act },
    ropes: [read.rope({ ...config, rope_theta: 2_000_000 })],
    layers: kinds.map((kind, i) => ({
      ...(turns[i] === 1 && { rope: 0 }),
      ...(kind === 'sliding_attention' && window !== undefined && { window }),
    })),
  };
  read.done();
  return decoderOf(plan);
}
