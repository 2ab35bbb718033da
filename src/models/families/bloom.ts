// BLOOM (BigScience 2022): slopes instead of positions, a norm of the embedding, each head's queries, keys and values
// side by side.

import { slopesOf } from '../blocks/alibi.ts';
import { layerWithBias } from '../blocks/norms.ts';
import { inGroups, plainDecoder } from '../blocks/plain.ts';
import { type ConfigJson, readConfig, withOwnKeys } from '../config.ts';
import type { Decoder } from '../family.ts';

const OWN_KEYS = {
  num_hidden_layers: 'n_layer',
  num_attention_heads: 'n_head',
  n_embed: 'hidden_size',
} as const;

export function bloom(json: ConfigJson, where: string): Decoder {
  const read = readConfig(withOwnKeys(json, where, OWN_KEYS), where);
  const hidden_size = read.size('hidden_size', 64);
  const heads = read.size('n_head', 8);
  read.only('n_inner', 4 * hidden_size);
  // How the same is computed on several devices and in half precision, and what it was trained at.
  read.skip('attention_softmax_in_fp32', 'bias_dropout_fusion', 'masked_softmax_fusion', 'slow_but_exact');
  read.skip('offset_alibi', 'seq_length', 'skip_bias_add', 'skip_bias_add_qkv', 'unk_token_id');
  const decoder = plainDecoder({
    config: {
      model_type: 'bloom',
      vocab_size: read.size('vocab_size', 250880),
      hidden_size,
      num_hidden_layers: read.size('n_layer', 2),
      num_attention_heads: heads,
      num_key_value_heads: heads,
      head_dim: read.quotient('hidden_size', hidden_size, 'n_head', heads),
      max_position_embeddings: 2048, // of training; slopes have no end
      tie_word_embeddings: read.flag('tie_word_embeddings', true),
    },
    width: hidden_size,
    inner: 4 * hidden_size,
    prefix: 'transformer.',
    embedding: 'word_embeddings',
    layers: 'h',
    finalNorm: 'ln_f',
    norm: layerWithBias(read.number('layer_norm_epsilon', 1e-5)),
    norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
    residual: { kind: 'before', ofNormed: read.flag('apply_residual_connection_post_layernorm', false) },
    attention: {
      into: { fused: 'self_attention.query_key_value', split: inGroups },
      out: 'self_attention.dense',
      bias: true,
    },
    mlp: { up: 'mlp.dense_h_to_4h', down: 'mlp.dense_4h_to_h', bias: true, act: 'gelu_new' },
    lora: ['query_key_value'],
    embeddingNorm: 'word_embeddings_layernorm',
    scores: { alibi: { slopes: slopesOf(heads) } },
  });
  read.done();
  return decoder;
}
