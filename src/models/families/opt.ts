// OPT (Zhang et al. 2022) and Galactica: positions learnt from place 2 on, ReLU; the 350m normalises sums, and its
// embedding is narrower than its blocks.

import { layerBare, layerWithBias } from '../blocks/norms.ts';
import { plainDecoder } from '../blocks/plain.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';

const EPS = 1e-5; // of torch's layer norm; no key says it

export function opt(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const width = read.size('hidden_size', 768);
  const narrow = read.size('word_embed_proj_dim', width);
  const heads = read.size('num_attention_heads', 12);
  const longest = read.size('max_position_embeddings', 2048);
  const first = read.flag('do_layer_norm_before', true);
  const bias = read.flag('enable_bias', true);
  const bareEnd = read.flag('_remove_final_layer_norm', false);
  read.skip('activation_dropout', 'dropout', 'init_std', 'layerdrop');
  const decoder = plainDecoder({
    config: {
      model_type: 'opt',
      vocab_size: read.size('vocab_size', 50272),
      hidden_size: narrow,
      num_hidden_layers: read.size('num_hidden_layers', 12),
      num_attention_heads: heads,
      num_key_value_heads: heads,
      head_dim: read.quotient('hidden_size', width, 'num_attention_heads', heads),
      max_position_embeddings: longest,
      tie_word_embeddings: read.flag('tie_word_embeddings', true),
    },
    width,
    inner: read.size('ffn_dim', 3072),
    prefix: 'model.decoder.',
    embedding: 'embed_tokens',
    layers: 'layers',
    ...(first && !bareEnd && { finalNorm: 'final_layer_norm' }),
    norm: read.flag('layer_norm_elementwise_affine', true) ? layerWithBias(EPS) : layerBare(EPS),
    norms: { attention: 'self_attn_layer_norm', mlp: 'final_layer_norm' },
    residual: { kind: first ? 'before' : 'after' },
    attention: {
      into: { apart: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] },
      out: 'self_attn.out_proj',
      bias,
    },
    mlp: { up: 'fc1', down: 'fc2', bias, act: read.activation('activation_function', 'relu') },
    lora: ['q_proj', 'v_proj'],
    positions: { table: 'embed_positions', offset: 2, longest },
    ...(narrow !== width && { projections: { into: 'project_in', out: 'project_out' } }),
  });
  read.done();
  return decoder;
}
