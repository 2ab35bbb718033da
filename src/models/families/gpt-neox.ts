// GPT-NeoX (Black et al. 2022), the family of Pythia and RedPajama-INCITE: layer norm with bias, rotary positions on a part
// of each head, attention and MLP side by side or one after the other.

import type { Value } from '../../engine/graph.ts';
import { add } from '../../engine/ops/arithmetic.ts';
import { layerNorm } from '../../engine/ops/normalise.ts';
import { reshape, slice } from '../../engine/ops/shape.ts';
import { ACTIVATIONS, type Activation } from '../blocks/activations.ts';
import { projections, Shapes } from '../blocks/linear.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder, DecoderConfig, ForwardInput, Weights } from '../family.ts';
import type { Rope } from '../rope.ts';

export interface GptNeoxConfig extends DecoderConfig {
  readonly intermediate_size: number;
  readonly layer_norm_eps: number;
  readonly hidden_act: Activation;
  readonly attention_bias: boolean;
  readonly use_parallel_residual: boolean;
  readonly rope: Rope;
}

const EMBEDDING = 'gpt_neox.embed_in.weight';
const HEAD = 'embed_out.weight';
const layer = (i: number): string => `gpt_neox.layers.${i}.`;

export function gptNeoxConfig(json: ConfigJson, where: string): GptNeoxConfig {
  const read = readConfig(json, where);
  const heads = read.size('num_attention_heads', 64);
  const hidden_size = read.size('hidden_size', 6144);
  const head_dim = read.quotient('hidden_size', hidden_size, 'num_attention_heads', heads);
  const max_position_embeddings = read.size('max_position_embeddings', 2048);
  const config: GptNeoxConfig = {
    model_type: 'gpt_neox',
    vocab_size: read.size('vocab_size', 50432),
    hidden_size,
    intermediate_size: read.size('intermediate_size', 24576),
    num_hidden_layers: read.size('num_hidden_layers', 44),
    num_attention_heads: heads,
    num_key_value_heads: heads,
    head_dim,
    max_position_embeddings,
    layer_norm_eps: read.number('layer_norm_eps', 1e-5),
    hidden_act: read.activation('hidden_act', 'gelu'),
    attention_bias: read.flag('attention_bias', true),
    use_parallel_residual: read.flag('use_parallel_residual', true),
    rope: read.rope({
      max_position_embeddings,
      head_dim,
      partial_rotary_factor: read.number('rotary_pct', 0.25),
      rope_theta: read.number('rotary_emb_base', 10_000),
    }),
    tie_word_embeddings: read.flag('tie_word_embeddings', false),
  };
  read.done();
  return config;
}

function shapes(config: GptNeoxConfig): Map<string, readonly number[]> {
  const { hidden_size: E, intermediate_size: F, vocab_size: V, attention_bias } = config;
  const table = new Shapes().tensor(EMBEDDING, [V, E]);
  for (let i = 0; i < config.num_hidden_layers; i++)
    table
      .norm(`${layer(i)}input_layernorm`, E, true)
      .linear(`${layer(i)}attention.query_key_value`, 3 * E, E, attention_bias)
      .linear(`${layer(i)}attention.dense`, E, E, attention_bias)
      .norm(`${layer(i)}post_attention_layernorm`, E, true)
      .linear(`${layer(i)}mlp.dense_h_to_4h`, F, E, true)
      .linear(`${layer(i)}mlp.dense_4h_to_h`, E, F, true);
  table.norm('gpt_neox.final_layer_norm', E, true);
  if (!config.tie_word_embeddings) table.tensor(HEAD, [V, E]);
  return table.table;
}

function attention(config: GptNeoxConfig, w: Weights, i: number, x: Value, input: ForwardInput): Value {
  const { num_attention_heads: H, head_dim: D, attention_bias } = config;
  const project = projections(w, `${layer(i)}attention.`, attention_bias);
  const T = x.shape[0]!;
  const fused = reshape(project('query_key_value', x), [T, H, 3 * D]); // each head's q, k, v side by side
  const part = (at: number) => reshape(slice(fused, 2, at * D, (at + 1) * D), [T, H * D]);
  const [q, k] = [input.rotate(i, part(0)), input.rotate(i, part(1))];
  return project('dense', input.attend(i, q, k, part(2)));
}

function feedForward(config: GptNeoxConfig, w: Weights, i: number, x: Value): Value {
  const project = projections(w, `${layer(i)}mlp.`, true);
  return project('dense_4h_to_h', ACTIVATIONS[config.hidden_act](project('dense_h_to_4h', x)));
}

export function gptNeox(config: GptNeoxConfig): Decoder<GptNeoxConfig> {
  const norm = (w: Weights, name: string, x: Value) =>
    layerNorm(x, w(`${name}.weight`), w(`${name}.bias`), config.layer_norm_eps);
  return {
    kind: 'decoder',
    model_type: 'gpt_neox',
    config,
    shapes: shapes(config),
    embedding: EMBEDDING,
    head: config.tie_word_embeddings ? EMBEDDING : HEAD,
    ownHead: HEAD,
    ropes: [config.rope],
    layers: Array.from({ length: config.num_hidden_layers }, () => ({ rope: 0 })),
    modules: {
      attention: ['attention.query_key_value', 'attention.dense'],
      mlp: ['mlp.dense_h_to_4h', 'mlp.dense_4h_to_h'],
      lora: ['query_key_value'],
    },
    layer,
    hidden(w, x, input) {
      const { scope } = x;
      const block = (i: number, h: Value): Value => {
        const attend = () => attention(config, w, i, norm(w, `${layer(i)}input_layernorm`, h), input);
        const attended = scope.within(`layers.${i}.attention`, attend);
        const middle = add(h, attended);
        const from = config.use_parallel_residual ? h : middle;
        const mlp = () => feedForward(config, w, i, norm(w, `${layer(i)}post_attention_layernorm`, from));
        return add(middle, scope.within(`layers.${i}.mlp`, mlp));
      };
      for (let i = 0; i < config.num_hidden_layers; i++) x = scope.within(`layers.${i}`, () => block(i, x));
      return scope.within('final_layer_norm', () => norm(w, 'gpt_neox.final_layer_norm', x));
    },
  };
}
