// Falcon (Almazrouei et al. 2023) in its architectures: RW (parts one after the other, slopes), 7B (side by side of one
// norm, one head of keys), 40B and 180B (a norm each, heads of keys shared), 2-11B (the same with one norm).

import { WhorlError } from '../../base/error.ts';
import { slopesOf } from '../blocks/alibi.ts';
import { layerWithBias } from '../blocks/norms.ts';
import { inGroups, plainDecoder } from '../blocks/plain.ts';
import { type ConfigJson, type ConfigReader, readConfig, withOwnKeys } from '../config.ts';
import type { Decoder } from '../family.ts';

export function falcon(json: ConfigJson, where: string): Decoder {
  const read = readConfig(withOwnKeys(json, where, { n_embed: 'hidden_size' }), where);
  const hidden_size = read.size('hidden_size', 4544);
  const heads = read.size('num_attention_heads', 71);
  const newer = read.flag('new_decoder_architecture', false);
  const config = {
    model_type: 'falcon',
    vocab_size: read.size('vocab_size', 65024),
    hidden_size,
    num_hidden_layers: read.size('num_hidden_layers', 32),
    num_attention_heads: heads,
    num_key_value_heads: keyHeads(read, heads, newer, where),
    head_dim: read.quotient('hidden_size', hidden_size, 'num_attention_heads', heads),
    max_position_embeddings: read.size('max_position_embeddings', 2048),
    tie_word_embeddings: read.flag('tie_word_embeddings', true),
  };
  read.skip('ff_factor'); // of Falcon 2 11B's config; the width is ffn_hidden_size, or four times the model's
  const bias = read.flag('bias', false);
  const alibi = read.flag('alibi', false);
  const { norms, parallel } = arrangement(read, newer);
  read.only('apply_residual_connection_post_layernorm', false);
  const rope = read.rope(config); // read in any case: what it says must be well-formed even where slopes stand for it
  const decoder = plainDecoder({
    config,
    width: hidden_size,
    inner: read.optionalSize('ffn_hidden_size') ?? 4 * hidden_size,
    prefix: 'transformer.',
    embedding: 'word_embeddings',
    layers: 'h',
    finalNorm: 'ln_f',
    norm: layerWithBias(read.number('layer_norm_epsilon', 1e-5)),
    norms,
    residual: { kind: parallel ? 'parallel' : 'before' },
    attention: {
      into: { fused: 'self_attention.query_key_value', split: inGroups },
      out: 'self_attention.dense',
      bias,
    },
    mlp: {
      up: 'mlp.dense_h_to_4h',
      down: 'mlp.dense_4h_to_h',
      bias,
      act: read.activation('activation', 'gelu'),
    },
    lora: ['query_key_value'],
    ropes: alibi ? [] : [rope],
    // Its slopes are added before the products are scaled, and transformers computes them in bfloat16.
    ...(alibi && {
      scores: {
        alibi: {
          slopes: slopesOf(heads),
          rounded: { to: 'bfloat16', scale: 1 / Math.sqrt(config.head_dim) },
        },
      },
    }),
  });
  read.done();
  return decoder;
}

/** Heads of keys. `num_kv_heads` counts in the newer architecture only; one that is given elsewhere must say nothing else. */
function keyHeads(read: ConfigReader, heads: number, newer: boolean, where: string): number {
  const given = read.optionalSize('num_kv_heads') ?? heads;
  const single = read.flag('multi_query', true);
  if (newer) {
    read.quotient('num_attention_heads', heads, 'num_kv_heads', given);
    return given;
  }
  if (single) return 1;
  if (given !== heads)
    throw new WhorlError(
      'unsupported',
      `${where}: num_kv_heads = ${given} changes the model's mathematics and is not handled without new_decoder_architecture`,
      'this checkpoint needs a newer whorl',
    );
  return heads;
}

/** Which norms a block has. */
function arrangement(
  read: ConfigReader,
  newer: boolean,
): { readonly norms: { readonly attention: string; readonly mlp?: string }; readonly parallel: boolean } {
  if (!newer) {
    read.only('num_ln_in_parallel_attn', 1); // transformers makes two norms then and uses a third
    const parallel = read.flag('parallel_attn', true);
    const norms = { attention: 'input_layernorm', ...(!parallel && { mlp: 'post_attention_layernorm' }) };
    return { norms, parallel };
  }
  read.only('parallel_attn', true);
  const two = (read.optionalSize('num_ln_in_parallel_attn') ?? 2) === 2;
  if (!two) read.only('num_ln_in_parallel_attn', 1);
  return {
    norms: two ? { attention: 'ln_attn', mlp: 'ln_mlp' } : { attention: 'input_layernorm' },
    parallel: true,
  };
}
