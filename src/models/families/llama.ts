// The LLaMA family (Touvron et al. 2023): RMS norm, rotary positions, grouped-query attention, SwiGLU.

import { WhorlError } from '../../base/error.ts';
import type { Activation } from '../blocks/activations.ts';
import { decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { readConfig } from '../config.ts';
import type { Decoder, DecoderConfig } from '../family.ts';
import type { Rope } from '../rope.ts';
import { GATED, PRE_NORMS } from './line.ts';

export interface LlamaConfig extends DecoderConfig {
  readonly rope: Rope;
  readonly intermediate_size: number;
  readonly rms_norm_eps: number;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  readonly hidden_act: Activation;
}

/** @throws WhorlError `unsupported` for a key that would change the mathematics and is not handled, `bad-file` for a wrong value */
export function llamaConfig(json: Readonly<Record<string, unknown>>, where: string): LlamaConfig {
  const read = readConfig(json, where);
  const heads = read.size('num_attention_heads');
  const hidden_size = read.size('hidden_size');
  const head_dim = read.size('head_dim', hidden_size / heads);
  const max_position_embeddings = read.size('max_position_embeddings', 2048);
  const config: LlamaConfig = {
    model_type: 'llama',
    vocab_size: read.size('vocab_size'),
    hidden_size,
    intermediate_size: read.size('intermediate_size'),
    num_hidden_layers: read.size('num_hidden_layers'),
    num_attention_heads: heads,
    num_key_value_heads: read.size('num_key_value_heads', heads),
    head_dim,
    max_position_embeddings,
    rms_norm_eps: read.number('rms_norm_eps', 1e-6),
    rope: read.rope({ max_position_embeddings, head_dim }),
    attention_bias: read.flag('attention_bias', false),
    mlp_bias: read.flag('mlp_bias', false),
    hidden_act: read.activation('hidden_act', 'silu'),
    tie_word_embeddings: read.flag('tie_word_embeddings', false),
  };
  read.only('rope_interleaved', false);
  read.only('partial_rotary_factor', 1);
  read.done();
  if (heads % config.num_key_value_heads !== 0)
    throw new WhorlError(
      'bad-file',
      `${where}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${config.num_key_value_heads}`,
      'get the checkpoint again',
    );
  return config;
}

export function llama(config: LlamaConfig): Decoder<LlamaConfig> {
  return decoderOf({
    config,
    norm: rms(config.rms_norm_eps),
    norms: PRE_NORMS,
    attention: { bias: { in: config.attention_bias, out: config.attention_bias }, out: 'o_proj' },
    mlp: { ...GATED, bias: config.mlp_bias, activation: config.hidden_act },
    ropes: [config.rope],
  });
}
