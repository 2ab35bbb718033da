// T5 (Raffel et al. 2020), Flan-T5 and mT5 (Xue et al. 2021): an encoder and a decoder over one embedding, distances in
// classes, RMS norm, scores that are not scaled.

import type { Value } from '../../engine/graph.ts';
import { add, mul } from '../../engine/ops/arithmetic.ts';
import { ACTIVATIONS, type Activation } from '../blocks/activations.ts';
import { projections, Shapes } from '../blocks/linear.ts';
import { type Norm, rms } from '../blocks/norms.ts';
import { type ConfigJson, readConfig, withOwnKeys } from '../config.ts';
import type { Decoder, DecoderConfig, Weights } from '../family.ts';

const [EMBEDDING, HEAD] = ['shared.weight', 'lm_head.weight'];
/** Distances are counted, not learnt one by one: texts have no longest length. */
const NO_END = 2 ** 31 - 1;

interface T5Plan {
  readonly config: DecoderConfig;
  readonly inner: number;
  readonly encoderLayers: number;
  readonly buckets: number;
  readonly norm: Norm;
  /** Names of the MLP's matrices into the wider rows, the gate first where there is one. */
  readonly into: readonly string[];
  readonly act: Activation;
}

/** Names of the parts below a block's prefix: attention to itself, to the source, MLP; norm and matrices of each. */
const part = (at: string, layer: number, name: string) => ({
  norm: `${at}layer.${layer}.layer_norm`,
  at: `${at}layer.${layer}.${name}.`,
});
const SELF = 'SelfAttention';
const CROSS = 'EncDecAttention';
const MLP = 'DenseReluDense';
const QKVO = ['q', 'k', 'v', 'o'] as const;
const modules = (layer: number, name: string, matrices: readonly string[]) =>
  matrices.map((matrix) => `layer.${layer}.${name}.${matrix}`);

/** What `feed_forward_proj` may say: which activation, and whether a gate stands beside it. */
const FEED_FORWARD: Readonly<Record<string, { readonly act: Activation; readonly gated: boolean }>> = {
  relu: { act: 'relu', gated: false },
  gelu: { act: 'gelu', gated: false },
  gelu_new: { act: 'gelu_new', gated: false },
  silu: { act: 'silu', gated: false },
  'gated-gelu': { act: 'gelu_new', gated: true }, // transformers reads it so, for the sake of the first checkpoints
  'gated-gelu_new': { act: 'gelu_new', gated: true },
  'gated-relu': { act: 'relu', gated: true },
  'gated-silu': { act: 'silu', gated: true },
};

interface T5Defaults {
  readonly model_type: string;
  readonly feed_forward_proj: string;
  readonly vocab: number;
  readonly heads: number;
  readonly inner: number;
  readonly layers: number;
  /** Whether logits are scaled, unless the config says otherwise. */
  readonly scales: boolean;
}

/** Names of a folder's tensors. */
interface Stored {
  has(name: string): boolean;
}

const family =
  (defaults: T5Defaults) =>
  (json: ConfigJson, where: string, stored?: Stored): Decoder => {
    const read = readConfig(withOwnKeys(json, where, KEYS), where);
    const heads = read.size('num_heads', defaults.heads);
    const encoderLayers = read.size('num_layers', defaults.layers);
    const kind = read.oneOf('feed_forward_proj', FEED_FORWARD, defaults.feed_forward_proj);
    const relative = {
      table: tableOf('decoder'),
      buckets: read.size('relative_attention_num_buckets', 32),
      distance: read.size('relative_attention_max_distance', 128),
    };
    read.atMost('the fewest classes,', 4, 'relative_attention_num_buckets', relative.buckets);
    const { buckets: classes, distance } = relative;
    read.atMost('relative_attention_num_buckets', classes, 'relative_attention_max_distance', distance);
    const flag = read.flag('tie_word_embeddings', true);
    const said = read.flag('scale_decoder_outputs', flag);
    // Version 4 of transformers tied by the flag. To version 5 it says only whether a T5 scales, and a head is tied where
    // the folder has none of its own; its configs, and mT5's of either version, do not say which.
    const byFlag = defaults.scales && flag && json.scale_decoder_outputs === undefined;
    const tied = stored && !byFlag ? !stored.has(HEAD) : flag;
    const plan: T5Plan = {
      config: {
        model_type: defaults.model_type,
        vocab_size: read.size('vocab_size', defaults.vocab),
        hidden_size: read.size('d_model', 512),
        num_hidden_layers: read.optionalSize('num_decoder_layers') ?? encoderLayers,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: read.size('d_kv', 64),
        max_position_embeddings: NO_END,
        tie_word_embeddings: tied,
      },
      inner: read.size('d_ff', defaults.inner),
      encoderLayers,
      buckets: relative.buckets,
      norm: rms(read.number('layer_norm_epsilon', 1e-6)),
      into: kind.gated ? ['wi_0', 'wi_1'] : ['wi'],
      act: kind.act,
    };
    const start = read.count('decoder_start_token_id', 0);
    const end = typeof json.eos_token_id === 'number' ? read.count('eos_token_id', 1) : 1;
    read.only('is_encoder_decoder', true);
    read.skip(
      'n_positions',
      'dropout_rate',
      'initializer_factor',
      'dense_act_fn',
      'is_gated_act',
      'tokenizer_class',
    );
    const layer = (i: number): string => `decoder.block.${i}.`;
    const encoderLayer = (i: number): string => `encoder.block.${i}.`;
    const mlp = [...plan.into, 'wo'];
    read.done();
    return {
      kind: 'decoder',
      model_type: defaults.model_type,
      config: plan.config,
      shapes: shapesOf(plan),
      embedding: EMBEDDING,
      embeddingCopies: ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'],
      head: tied ? EMBEDDING : HEAD,
      ownHead: HEAD,
      ...(defaults.scales && said && { logits: { scale: plan.config.hidden_size ** -0.5 } }),
      ropes: [],
      layers: Array.from({ length: plan.config.num_hidden_layers }, () => ({})),
      scores: { scale: 1, relative },
      modules: {
        attention: [...modules(0, SELF, QKVO), ...modules(1, CROSS, QKVO)],
        mlp: modules(2, MLP, mlp),
        lora: ['q', 'v'],
      },
      layer,
      encoder: {
        layers: encoderLayers,
        start,
        end,
        modules: { attention: modules(0, SELF, QKVO), mlp: modules(1, MLP, mlp) },
        layer: encoderLayer,
        ofSources: (weight) => weight.startsWith('encoder.') || OF_SOURCES.test(weight),
        hidden: (w, x, input) =>
          stack(plan, w, 'encoder', encoderLayers, x, (_, ...rest) => input.attend(...rest)),
      },
      hidden: (w, x, input) =>
        stack(plan, w, 'decoder', plan.config.num_hidden_layers, x, input.attend, input.attendSource),
    };
  };

/** Names that transformers takes for T5's own. */
const KEYS = {
  hidden_size: 'd_model',
  num_attention_heads: 'num_heads',
  num_hidden_layers: 'num_layers',
  head_dim: 'd_kv',
} as const;

/** mT5's config has other sizes by default; its logits are never scaled. */
export const mt5 = family({
  model_type: 'mt5',
  feed_forward_proj: 'gated-gelu',
  vocab: 250_112,
  heads: 6,
  inner: 1024,
  layers: 8,
  scales: false,
});
export const t5 = family({
  model_type: 't5',
  feed_forward_proj: 'relu',
  vocab: 32_128,
  heads: 8,
  inner: 2048,
  layers: 6,
  scales: true,
});

const OF_SOURCES = new RegExp(`\\.${CROSS}\\.[kv]\\.weight$`);

type Input = Parameters<Decoder['hidden']>[2];

function stack(
  plan: T5Plan,
  w: Weights,
  name: 'encoder' | 'decoder',
  layers: number,
  x: Value,
  attend: Input['attend'],
  attendSource?: Input['attendSource'],
): Value {
  const { scope } = x;
  const normed = (at: string, h: Value): Value => plan.norm.apply(w, at, h);
  const table = w(tableOf(name));
  for (let i = 0; i < layers; i++)
    x = scope.within(`${name}.block.${i}`, () => {
      const at = `${name}.block.${i}.`;
      const self = part(at, 0, SELF);
      const own = projections(w, self.at, false);
      const h = normed(self.norm, x);
      x = add(x, own('o', attend(i, own('q', h), own('k', h), own('v', h), table)));
      if (attendSource) {
        const cross = part(at, 1, CROSS);
        const of = projections(w, cross.at, false);
        const sources = (states: Value) => [of('k', states), of('v', states)] as const;
        x = add(x, of('o', attendSource(i, of('q', normed(cross.norm, x)), sources)));
      }
      const mlp = part(at, attendSource ? 2 : 1, MLP);
      const project = projections(w, mlp.at, false);
      const fed = normed(mlp.norm, x);
      const [first, ...second] = plan.into.map((matrix) => project(matrix, fed));
      const open = ACTIVATIONS[plan.act](first!);
      return add(
        x,
        project(
          'wo',
          second.reduce((product, more) => mul(product, more), open),
        ),
      );
    });
  return scope.within(`${name}.final_layer_norm`, () => normed(`${name}.final_layer_norm`, x));
}

const tableOf = (name: 'encoder' | 'decoder'): string =>
  `${name}.block.0.layer.0.${SELF}.relative_attention_bias.weight`;

function shapesOf({
  config,
  inner,
  encoderLayers,
  buckets,
  norm,
  into,
}: T5Plan): Map<string, readonly number[]> {
  const { hidden_size: E, vocab_size: V, num_attention_heads: H, head_dim: D } = config;
  const table = new Shapes().tensor(EMBEDDING, [V, E]);
  const attention = (at: string) => {
    for (const name of ['q', 'k', 'v']) table.linear(`${at}${name}`, H * D, E);
    table.linear(`${at}o`, E, H * D);
  };
  for (const [name, layers] of [
    ['encoder', encoderLayers],
    ['decoder', config.num_hidden_layers],
  ] as const) {
    table.tensor(tableOf(name), [buckets, H]);
    for (let i = 0; i < layers; i++) {
      const parts = name === 'encoder' ? [SELF, MLP] : [SELF, CROSS, MLP];
      parts.forEach((kind, layer) => {
        const own = part(`${name}.block.${i}.`, layer, kind);
        norm.shapes(table, own.norm, [E]);
        if (kind !== MLP) return attention(own.at);
        for (const matrix of into) table.linear(`${own.at}${matrix}`, inner, E);
        table.linear(`${own.at}wo`, E, inner);
      });
    }
    norm.shapes(table, `${name}.final_layer_norm`, [E]);
  }
  if (!config.tie_word_embeddings) table.tensor(HEAD, [V, E]);
  return table.table;
}
