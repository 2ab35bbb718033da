// GPT-J (Wang & Komatsuzaki 2021): attention and MLP side by side of one norm, neighbours turn on a part of each head.

import { layerWithBias } from '../blocks/norms.ts';
import { plainDecoder } from '../blocks/plain.ts';
import { type ConfigJson, readConfig, withOwnKeys } from '../config.ts';
import type { Decoder } from '../family.ts';
import { GPT_KEYS, gptSizes, SUMMARY } from './gpt.ts';

export function gptj(json: ConfigJson, where: string): Decoder {
  const read = readConfig(withOwnKeys(json, where, GPT_KEYS), where);
  const { config, inner } = gptSizes(read, {
    model_type: 'gptj',
    vocab: 50400,
    width: 4096,
    layers: 28,
    heads: 16,
    positions: 2048,
    tied: false,
  });
  read.only('tie_word_embeddings', false); // a tied head's bias is not handled
  read.only('rotary', true);
  read.only('scale_attn_weights', true);
  read.skip('n_ctx', ...SUMMARY);
  const decoder = plainDecoder({
    config,
    width: config.hidden_size,
    inner,
    prefix: 'transformer.',
    embedding: 'wte',
    layers: 'h',
    finalNorm: 'ln_f',
    norm: layerWithBias(read.number('layer_norm_epsilon', 1e-5)),
    norms: { attention: 'ln_1' },
    residual: { kind: 'parallel' },
    attention: {
      into: { apart: ['attn.q_proj', 'attn.k_proj', 'attn.v_proj'] },
      out: 'attn.out_proj',
      bias: false,
    },
    mlp: {
      up: 'mlp.fc_in',
      down: 'mlp.fc_out',
      bias: true,
      act: read.activation('activation_function', 'gelu_new'),
    },
    lora: ['q_proj', 'v_proj'],
    ropes: [read.rope({ ...config, dim: read.size('rotary_dim', 64), interleaved: true })],
    headBias: true,
  });
  read.done();
  return decoder;
}
