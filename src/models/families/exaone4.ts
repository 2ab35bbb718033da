// EXAONE 4 (LG AI Research 2025): norms stand behind attention and MLP; layers without a window have no positions where others
// have one.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, POST_NORMS, turnWhereTheySlide } from './line.ts';

export function exaone4(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'exaone4',
    num_key_value_heads: 32,
    max_position_embeddings: 2048,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const norm = rms(read.number('rms_norm_eps', 1e-5));
  const window = read.window('sliding_window', 4096);
  // Published beside layer_types as a word of L and G, which transformers does not read then.
  const every = (json.layer_types ?? null) === null ? read.size('sliding_window_pattern', 4) : 1;
  read.skip('sliding_window_pattern');
  const kinds = read.layerTypes(
    config.num_hidden_layers,
    (i) => window !== undefined && (i + 1) % every !== 0,
  );
  const plan: Blueprint<LineConfig> = {
    config,
    norm,
    norms: POST_NORMS,
    attention: { bias: { in: false, out: false }, out: 'o_proj', qkNorm: { over: 'head', norm } },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope(config)],
    ...(window !== undefined && { layers: turnWhereTheySlide(kinds, window) }),
  };
  read.done();
  return decoderOf(plan);
}
