// OLMo 2 (Team OLMo 2025): norms stand behind attention and MLP, and queries and keys are normalised as whole rows.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, type ConfigReader, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig, POST_NORMS } from './line.ts';

/** All but positions and windows, which OLMo 3 has others of. */
export function olmoBlocks(read: ConfigReader, model_type: string): Omit<Blueprint<LineConfig>, 'ropes'> {
  const config = lineConfig(read, {
    model_type,
    max_position_embeddings: 2048,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const norm = rms(read.number('rms_norm_eps', 1e-5));
  return {
    config,
    norm,
    norms: POST_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj', qkNorm: { over: 'row', norm } },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
  };
}

export function olmo2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const blocks = olmoBlocks(read, 'olmo2');
  const plan = { ...blocks, ropes: [read.rope(blocks.config)] };
  read.done();
  return decoderOf(plan);
}
