// Gemma 3 (Gemma Team 2025), the language part: five layers of six see a window and turn by a base of their own; queries
// and keys are normalised.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rmsPlusOne } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { SANDWICH } from './gemma2.ts';
import { GATED, type LineConfig, lineConfig, ropeByKind } from './line.ts';

export function gemma3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'gemma3_text',
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
    hidden_act: 'gelu_pytorch_tanh',
    activationKey: 'hidden_activation',
    tie_word_embeddings: true,
  });
  // Its class in transformers keeps this cap and calls attention without it; llama.cpp has none either.
  read.skip('hidden_act', 'attn_logit_softcapping');
  read.only('use_bidirectional_attention', false);
  const bias = read.flag('attention_bias', false);
  const eps = read.number('rms_norm_eps', 1e-6);
  const window = read.window('sliding_window', 4096);
  const pattern = read.size('sliding_window_pattern', read.size('_sliding_window_pattern', 6));
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => (i + 1) % pattern !== 0);
  const cap = read.optionalNumber('final_logit_softcapping');
  const local = read.number('rope_local_base_freq', 10_000);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rmsPlusOne(eps),
    norms: SANDWICH,
    attention: {
      bias: { in: bias, out: bias },
      out: 'o_proj',
      qkNorm: { over: 'head', norm: rmsPlusOne(eps) },
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [
      read.rope({ ...config, rope_theta: 1_000_000, kind: 'full_attention' }),
      read.rope({ ...config, rope_theta: local, kind: 'sliding_attention' }),
    ],
    layers: ropeByKind(kinds, window),
    scores: { scale: read.number('query_pre_attn_scalar', 256) ** -0.5 },
    embeddingScale: Math.sqrt(config.hidden_size),
    ...(cap !== undefined && { logits: { softcap: cap } }),
  };
  read.done();
  return decoderOf(plan);
}
