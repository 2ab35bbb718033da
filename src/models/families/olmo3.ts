// OLMo 3 (Team OLMo 2025): OLMo 2 of which three layers in four see a window; scaled positions are those of the others.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, POST_NORMS } from './line.ts';

export function olmo3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'olmo3',
    max_position_embeddings: 2048,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const norm = rms(read.number('rms_norm_eps', 1e-5));
  const window = read.window('sliding_window', 4096);
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => (i + 1) % 4 !== 0);
  const plan: Blueprint<LineConfig> = {
    config,
    norm,
    norms: POST_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj', qkNorm: { over: 'row', norm } },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: (['full_attention', 'sliding_attention'] as const).map((kind) =>
      read.rope({ ...config, rope_theta: 500_000, kind }),
    ),
    layers: kinds.map((kind) =>
      kind === 'full_attention' ? { rope: 0 } : { rope: 1, ...(window !== undefined && { window }) },
    ),
  };
  read.done();
  return decoderOf(plan);
}
