// Command R (Cohere 2024): attention and MLP side by side of one norm without bias, neighbours turn, logits are scaled.

import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { layerWithoutBias } from '../blocks/norms.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GATED, type LineConfig, lineConfig } from './line.ts';

/** What Cohere's own code is told of the same mathematics; transformers' classes read none of them. */
export const NOTES = [
  'layer_switch',
  'order_of_interleaved_layers',
  'use_embedding_sharing',
  'use_gated_activation',
  'use_parallel_block',
  'use_parallel_embedding',
] as const;

export function cohere(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    model_type: 'cohere',
    max_position_embeddings: 8192,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  });
  const bias = read.flag('attention_bias', false);
  const logit_scale = read.number('logit_scale', 0.0625);
  const norm = layerWithoutBias(read.number('layer_norm_eps', 1e-5));
  const plan: Blueprint<LineConfig> = {
    config,
    norm,
    norms: { beforeAttention: 'input_layernorm' },
    parallel: true,
    attention: {
      bias: { in: bias, out: bias },
      out: 'o_proj',
      ...(read.flag('use_qk_norm', false) && { qkNorm: { over: 'heads', norm } }),
    },
    mlp: { ...GATED, bias: false, activation: config.hidden_act },
    ropes: [read.rope({ ...config, interleaved: true, rope_theta: 500_000 })],
    logits: { scale: logit_scale },
  };
  read.skip(...NOTES);
  read.done();
  return decoderOf(plan);
}
