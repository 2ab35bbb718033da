// The part of a graph that scoring, generating and prefix caching share: packed prompts, run through once.

import { Graph, type Value } from '../engine/graph.ts';
import { input, weight } from '../engine/ops/leaves.ts';
import type { Feed } from '../engine/session.ts';
import { type Cache, packInputs, promptAttention, type RopeInputs, ropeInputs } from './blocks/attention.ts';
import { fixedUpTo, ropeFeeds } from './blocks/rope.ts';
import { embed } from './embedding.ts';
import type { Weights } from './family.ts';
import type { ModelWeights } from './model.ts';
import {
  type Overlay,
  type OverlayInputs,
  type OverlayShape,
  overlayFeeds,
  overlayInputs,
  type Switches,
  type Variant,
} from './overlay.ts';
import { packShared, type SharedPacked } from './pack.ts';

export const frozenWeights =
  (graph: Graph, model: ModelWeights): Weights =>
  (name) =>
    weight(graph, model.tensors.get(name)!, name);

export interface PromptGraph {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly overlay: OverlayInputs | undefined;
  readonly rope: readonly RopeInputs[];
  readonly last: Value;
  readonly total: Value;
  readonly hidden: Value; // [T, E]
  readonly cache: Cache;
}

export function promptGraph(name: string, model: ModelWeights, shape: OverlayShape | undefined): PromptGraph {
  const graph = new Graph(name);
  const { decoder } = model;
  const weights = frozenWeights(graph, model);
  const ids = input(graph, 'ids', 'int32', ['T']);
  const pack = packInputs(graph);
  const rope = ropeInputs(graph, decoder, pack);
  const overlay = shape && overlayInputs(graph, decoder, shape);
  const on: Switches | undefined = overlay && {
    rows: input(graph, 'rows_on', 'float32', ['T']),
    adapter: input(graph, 'adapter_on', 'float32', ['T']),
  };
  const last = input(graph, 'last', 'int32', ['B']);
  const total = input(graph, 'total', 'int32', []);
  const cache: Cache = [];
  const x = embed(decoder, weights, ids, overlay, on);
  const hidden = decoder.hidden(weights, x, promptAttention(decoder, pack, rope, last, total, cache));
  return { graph, weights, overlay, rope, last, total, hidden, cache };
}

/** Feeds of `promptGraph`. `extra` positions are room in the rotary tables for what is decoded later. */
export function promptFeeds(
  model: ModelWeights,
  overlay: Overlay | undefined,
  prompts: readonly (readonly number[])[],
  variants: readonly Variant[],
  extra = 0,
): { packed: SharedPacked; feeds: Record<string, Feed> } {
  const { ropes } = model.decoder;
  const fixed = fixedUpTo(ropes);
  const packed = packShared(
    prompts,
    // Beyond that length every position turns by frequencies of the whole sequence's length.
    variants.map(({ rows, adapter }, b) => {
      const { length } = prompts[b]!;
      return `${rows} ${adapter} ${length > fixed ? length : ''}`;
    }),
  );
  const { T, S, B } = packed;
  const rope = ropeFeeds(ropes, packed, extra);
  const spread = (on: (variant: Variant) => boolean): Feed => ({
    data: Float32Array.from(packed.owner, (b) => (on(variants[b]!) ? 1 : 0)),
    shape: [T],
  });
  return {
    packed,
    feeds: {
      ids: { data: packed.ids, shape: [T] },
      ...packed.feeds,
      ...rope,
      last: { data: Int32Array.from(packed.lengths, (n) => n - 1), shape: [B] },
      total: { data: Int32Array.of(S), shape: [] },
      ...(overlay && {
        rows_on: spread((v) => v.rows),
        adapter_on: spread((v) => v.adapter),
        ...overlayFeeds(overlay, model.decoder),
      }),
    },
  };
}
