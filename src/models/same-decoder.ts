// Whether two decoders compute the same: their sizes, positions and layers, and the graphs of their forward passes, which
// hold what a family keeps to itself (norms' epsilons, activations, multipliers).

import { listing } from '../engine/listing.ts';
import { elements } from '../tensor/tensor.ts';
import type { Decoder } from './family.ts';
import { promptGraph } from './prompt.ts';

/** Numbers as float32, which is what files and graphs have of them. */
const rounded = (_: string, value: unknown): unknown =>
  typeof value === 'number' && Math.abs(value) < 3e38 ? Math.fround(value) : value;
const text = (value: unknown): string => JSON.stringify(value, rounded) ?? '';

/** Families of other names and places of a head may still be the same model; windows are told apart by `sameWindows`. */
const PARTS: Readonly<Record<string, (decoder: Decoder) => unknown>> = {
  sizes: ({ config }) => [
    config.vocab_size,
    config.hidden_size,
    config.num_hidden_layers,
    config.num_attention_heads,
    config.num_key_value_heads,
    config.head_dim,
    config.max_position_embeddings,
  ],
  'rotary positions': ({ ropes }) => ropes,
  layers: ({ layers }) => layers.map(({ window: _, ...layer }) => layer),
  scores: ({ scores }) => scores,
  logits: ({ logits }) => logits,
  'the forward pass': forward,
};

/** What differs, in words; empty: they compute the same but for windows. */
export const differences = (a: Decoder, b: Decoder): readonly string[] =>
  Object.entries(PARTS).flatMap(([name, part]) => (text(part(a)) === text(part(b)) ? [] : [name]));

export const sameWindows = (a: Decoder, b: Decoder): boolean =>
  a.layers.every(({ window }, i) => window === b.layers[i]?.window);

/** The listing of the graph over packed prompts, without a weight in memory. */
function forward(decoder: Decoder): string {
  const tensors = new Map(
    [...decoder.shapes].map(([name, shape]) => {
      const length = 4 * elements(shape);
      return [name, { dtype: 'float32' as const, shape, file: name, offset: 0, length }];
    }),
  );
  const layers = decoder.layers.map(({ window: _, ...layer }) => layer);
  const { graph, hidden } = promptGraph(
    'forward',
    { decoder: { ...decoder, layers }, tensors, weightsFolder: '' },
    undefined,
  );
  graph.output('hidden', hidden);
  const lines = listing(graph, { names: 'onnx' });
  return lines.replaceAll(/\d+(?:\.\d+)?(?:e[-+]?\d+)?/g, (number) => `${Math.fround(Number(number))}`);
}
