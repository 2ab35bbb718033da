// The LLaMA family (Touvron et al. 2023): RMS norm, rotary positions, grouped-query attention, SwiGLU.

import { WhorlError } from '../../base/error.ts';
import type { Value } from '../../engine/graph.ts';
import { add, mul, silu } from '../../engine/ops/arithmetic.ts';
import { rmsNorm } from '../../engine/ops/normalise.ts';
import { projections } from '../blocks/linear.ts';
import { readConfig } from '../config.ts';
import type { Decoder, DecoderConfig, ForwardInput, Modules, Weights } from '../family.ts';
import type { Rope } from '../rope.ts';

export interface LlamaConfig extends DecoderConfig {
  readonly rope: Rope;
  readonly intermediate_size: number;
  readonly rms_norm_eps: number;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
}

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
const MODULES: Modules = {
  attention: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
  mlp: ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'],
  lora: ['q_proj', 'v_proj'],
};

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
    tie_word_embeddings: read.flag('tie_word_embeddings', false),
  };
  read.only('hidden_act', 'silu');
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

function shapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hidden_size: E, intermediate_size: F, head_dim: D, vocab_size: V } = config;
  const [Q, K] = [config.num_attention_heads * D, config.num_key_value_heads * D];
  const table = new Map<string, readonly number[]>([[EMBEDDING, [V, E]]]);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`;
    const matrix = (name: string, rows: number, columns: number, bias: boolean) => {
      table.set(`${layer}.${name}.weight`, [rows, columns]);
      if (bias) table.set(`${layer}.${name}.bias`, [rows]);
    };
    table.set(`${layer}.input_layernorm.weight`, [E]);
    matrix('self_attn.q_proj', Q, E, config.attention_bias);
    matrix('self_attn.k_proj', K, E, config.attention_bias);
    matrix('self_attn.v_proj', K, E, config.attention_bias);
    matrix('self_attn.o_proj', E, Q, config.attention_bias);
    table.set(`${layer}.post_attention_layernorm.weight`, [E]);
    matrix('mlp.gate_proj', F, E, config.mlp_bias);
    matrix('mlp.up_proj', F, E, config.mlp_bias);
    matrix('mlp.down_proj', E, F, config.mlp_bias);
  }
  table.set('model.norm.weight', [E]);
  if (!config.tie_word_embeddings) table.set(HEAD, [V, E]);
  return table;
}

function attention(w: Weights, i: number, x: Value, input: ForwardInput, bias: boolean): Value {
  const project = projections(w, `model.layers.${i}.self_attn.`, bias);
  const q = input.rotate(i, project('q_proj', x)); // [T, H·D]
  const k = input.rotate(i, project('k_proj', x)); // [T, K·D]
  const v = project('v_proj', x); // [T, K·D]
  return project('o_proj', input.attend(i, q, k, v));
}

function feedForward(w: Weights, i: number, x: Value, bias: boolean): Value {
  const project = projections(w, `model.layers.${i}.mlp.`, bias);
  const gate = silu(project('gate_proj', x)); // [T, F]
  return project('down_proj', mul(gate, project('up_proj', x)));
}

export function llama(config: LlamaConfig): Decoder<LlamaConfig> {
  const eps = config.rms_norm_eps;
  return {
    kind: 'decoder',
    model_type: 'llama',
    config,
    shapes: shapes(config),
    embedding: EMBEDDING,
    head: config.tie_word_embeddings ? EMBEDDING : HEAD,
    ownHead: HEAD,
    ropes: [config.rope],
    layers: Array.from({ length: config.num_hidden_layers }, () => ({ rope: 0 })),
    modules: MODULES,
    layer: (i) => `model.layers.${i}.`,
    hidden(w, x, input) {
      const { scope } = x;
      const block = (i: number, h: Value): Value => {
        const normal = rmsNorm(h, w(`model.layers.${i}.input_layernorm.weight`), eps);
        const attended = scope.within(`layers.${i}.self_attn`, () =>
          attention(w, i, normal, input, config.attention_bias),
        );
        const middle = add(h, attended);
        const again = rmsNorm(middle, w(`model.layers.${i}.post_attention_layernorm.weight`), eps);
        return add(
          middle,
          scope.within(`layers.${i}.mlp`, () => feedForward(w, i, again, config.mlp_bias)),
        );
      };
      for (let i = 0; i < config.num_hidden_layers; i++) x = scope.within(`layers.${i}`, () => block(i, x));
      return scope.within('norm', () => rmsNorm(x, w('model.norm.weight'), eps));
    },
  };
}
