// AFM (Arcee 2025): LLaMA with squared ReLU in place of a gate.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { type LineConfig, lineConfig, PRE_NORMS, UNGATED } from './line.ts';

export function arcee(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'arcee',
    max_position_embeddings: 4096,
    hidden_act: 'relu2',
    tie_word_embeddings: false,
  });
  const bias = read.flag('attention_bias', false);
  const plan: Blueprint<LineConfig> = {
    config,
    norm: rms(read.number('rms_norm_eps', 1e-5)),
    norms: PRE_NORMS,
    attention: { bias: { in: bias, out: bias }, out: 'o_proj' },
    mlp: { ...UNGATED, bias: read.flag('mlp_bias', false), activation: config.hidden_act },
    ropes: [read.rope(config)],
  };
  read.done();
  return decoderOf(plan);
}
