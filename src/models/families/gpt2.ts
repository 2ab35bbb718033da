// GPT-2 (Radford et al. 2019): learnt positions, layer norm before each part, matrices stored [in, out].

import { layerWithBias } from '../blocks/norms.ts';
import { inBlocks, plainDecoder } from '../blocks/plain.ts';
import { type ConfigJson, readConfig, withOwnKeys } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GPT_KEYS, gptSizes, SUMMARY } from './gpt.ts';

export function gpt2(json: ConfigJson, where: string): Decoder {
  const read = readConfig(withOwnKeys(json, where, GPT_KEYS), where);
  const { config, inner, longest } = gptSizes(read, {
    model_type: 'gpt2',
    vocab: 50257,
    width: 768,
    layers: 12,
    heads: 12,
    positions: 1024,
    tied: true,
  });
  const scale = read.flag('scale_attn_weights', true) ? 1 / Math.sqrt(config.head_dim) : 1;
  const byLayer = read.flag('scale_attn_by_inverse_layer_idx', false);
  read.only('add_cross_attention', false);
  read.skip('n_ctx', 'reorder_and_upcast_attn', ...SUMMARY); // the second: in which precision the same is computed
  const decoder = plainDecoder({
    config,
    width: config.hidden_size,
    inner,
    prefix: 'transformer.',
    embedding: 'wte',
    layers: 'h',
    finalNorm: 'ln_f',
    norm: layerWithBias(read.number('layer_norm_epsilon', 1e-5)),
    norms: { attention: 'ln_1', mlp: 'ln_2' },
    residual: { kind: 'before' },
    attention: { into: { fused: 'attn.c_attn', split: inBlocks }, out: 'attn.c_proj', bias: true },
    mlp: {
      up: 'mlp.c_fc',
      down: 'mlp.c_proj',
      bias: true,
      act: read.activation('activation_function', 'gelu_new'),
    },
    lora: ['c_attn'],
    transposed: true,
    positions: { table: 'wpe', offset: 0, longest },
    attends: Array.from({ length: config.num_hidden_layers }, (_, i) =>
      byLayer ? { scale: scale / (i + 1) } : {},
    ),
    scores: { scale },
  });
  read.done();
  return decoder;
}
