// The part of a graph that scoring, generating and prefix caching share: packed prompts, run through once.

import { Graph, type Value } from '../engine/graph.ts';
import { input, weight } from '../engine/ops/leaves.ts';
import { quantisedWeight } from '../engine/ops/quantised.ts';
import type { Feed, Provider } from '../engine/session.ts';
import {
  type Cache,
  type PackInputs,
  type Pad,
  packInputs,
  promptAttention,
  type RopeInputs,
  ropeInputs,
} from './blocks/attention.ts';
import { fixedUpTo, ropeFeeds } from './blocks/rope.ts';
import { crossAttention, type SourceCache } from './blocks/source-attention.ts';
import { tiledAttention } from './blocks/tiled-attention.ts';
import { embed } from './embedding.ts';
import type { ForwardInput, Weights } from './family.ts';
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
import { checkFits, packShared, type SharedPacked } from './pack.ts';
import { distinctSources, encodedSources, sourceFeeds, sourcesOf } from './source.ts';
import { tileFeeds } from './tiles.ts';

/** One row of queries would take another kernel, with other last bits. */
const AT_LEAST = 2;

export const frozenWeights =
  (graph: Graph, model: ModelWeights): Weights =>
  (name) => {
    const packed = model.quantised?.get(name);
    if (packed === undefined) return weight(graph, model.tensors.get(name)!, name);
    return graph.once(`quantised:${name}`, () => {
      const { packed: numbers, scales, ...rows } = packed;
      return quantisedWeight(weight(graph, numbers, name), weight(graph, scales, `${name}.scales`), rows);
    });
  };

export interface PromptGraph {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly overlay: OverlayInputs | undefined;
  readonly rope: readonly RopeInputs[];
  readonly last: Value;
  readonly total: Value;
  readonly hidden: Value; // [T, E]
  readonly cache: Cache;
  /** Of an encoder-decoder: its sources, and each layer's keys and values of them. */
  readonly source?: { readonly mask: Value; readonly cache: SourceCache };
}

/** What a prompt is: tokens of the decoder, the source that it attends to, and which parts of the overlay they see. */
export interface PromptRow {
  readonly tokens: readonly number[];
  readonly source?: readonly number[] | undefined;
  readonly variant: Variant;
}

/** What both kinds of pass begin with; `attention` says how its rows meet each other. */
function packedGraph(
  name: string,
  model: ModelWeights,
  shape: OverlayShape | undefined,
  attention: (
    graph: Graph,
    pack: PackInputs,
    rope: readonly RopeInputs[],
    cross?: (rows: Pad) => ForwardInput['attendSource'],
  ) => ForwardInput,
) {
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
  const sourceCache: SourceCache = [];
  const encoded = encodedSources(graph, decoder, weights, overlay, 'sources');
  const cross =
    encoded &&
    ((rows: Pad) => {
      const of = input(graph, 'source_of', 'int32', ['B']);
      return crossAttention(decoder, encoded.inputs, encoded.states, rows, sourceCache, of);
    });
  const x = embed(decoder, weights, ids, overlay, on);
  const hidden = decoder.hidden(weights, x, attention(graph, pack, rope, cross));
  const source = encoded && { mask: encoded.inputs.mask, cache: sourceCache };
  return { graph, weights, overlay, rope, hidden, ...(source && { source }) };
}

/** Prompts whose keys and values are wanted. */
export function promptGraph(name: string, model: ModelWeights, shape: OverlayShape | undefined): PromptGraph {
  const cache: Cache = [];
  let ends: Pick<PromptGraph, 'last' | 'total'> | undefined;
  const packed = packedGraph(name, model, shape, (graph, pack, rope, cross) => {
    ends = { last: input(graph, 'last', 'int32', ['B']), total: input(graph, 'total', 'int32', []) };
    return promptAttention(model.decoder, pack, rope, ends.last, ends.total, cache, cross);
  });
  return { ...packed, ...ends!, cache };
}

/**
 * Feeds of `promptGraph`.
 * @param extra positions that the rotary tables have room for, of what is decoded later
 * @param beside sequences that go on without being prompts: their sources are among the run's
 * @returns also which source each prompt has, then each of `beside`
 */
export function promptFeeds(
  model: ModelWeights,
  overlay: Overlay | undefined,
  prompts: readonly PromptRow[],
  extra = 0,
  beside: readonly PromptRow[] = [],
): { packed: SharedPacked; feeds: Record<string, Feed>; sourceOf: Int32Array } {
  const { ropes, encoder } = model.decoder;
  const fixed = fixedUpTo(ropes);
  const { sources, of } = distinctSources(sourcesOf(model.decoder, [...prompts, ...beside]));
  const packed = packShared(
    prompts.map(({ tokens }) => tokens),
    // Beyond that length every position turns by frequencies of the whole sequence's length.
    prompts.map(({ tokens: { length }, variant: { rows, adapter } }, b) => {
      return `${rows} ${adapter} ${length > fixed ? length : ''} ${of[b] ?? ''}`;
    }),
    encoder ? AT_LEAST : 1,
  );
  checkFits(model.decoder, packed);
  const { T, S, B } = packed;
  const rope = ropeFeeds(ropes, packed, extra);
  const spread = (on: (variant: Variant) => boolean): Feed => ({
    data: Float32Array.from(packed.owner, (b) => (on(prompts[b]!.variant) ? 1 : 0)),
    shape: [T],
  });
  return {
    packed,
    sourceOf: of,
    feeds: {
      ids: { data: packed.ids, shape: [T] },
      ...packed.feeds,
      ...rope,
      last: { data: Int32Array.from(packed.lengths, (n) => n - 1), shape: [B] },
      total: { data: Int32Array.of(S), shape: [] },
      ...(encoder && {
        ...sourceFeeds(model.decoder, sources, overlay !== undefined),
        source_of: { data: of.slice(0, B), shape: [B] },
      }),
      ...(overlay && {
        rows_on: spread((v) => v.rows),
        adapter_on: spread((v) => v.adapter),
        ...overlayFeeds(overlay, model.decoder),
      }),
    },
  };
}

/** A pass whose hidden states are wanted, and nothing else. */
interface HiddenPass {
  readonly graph: (
    name: string,
    model: ModelWeights,
    shape: OverlayShape | undefined,
  ) => Pick<PromptGraph, 'graph' | 'weights' | 'overlay' | 'hidden'>;
  readonly feeds: (
    model: ModelWeights,
    overlay: Overlay | undefined,
    prompts: readonly PromptRow[],
  ) => Pick<ReturnType<typeof promptFeeds>, 'packed' | 'feeds'>;
}

const inTiles: HiddenPass = {
  graph: (name, model, shape) =>
    packedGraph(name, model, shape, (graph, pack, rope, cross) =>
      tiledAttention(graph, model.decoder, pack, rope, cross),
    ),
  feeds: (model, overlay, prompts) => {
    const { packed, feeds } = promptFeeds(model, overlay, prompts);
    return { packed, feeds: { ...feeds, ...tileFeeds(model.decoder, packed) } };
  },
};

const fused: HiddenPass = { graph: promptGraph, feeds: promptFeeds };

/** On a GPU a round of tiles is too little work for what starting it costs. */
export const HIDDEN_PASS: Readonly<Record<Provider, HiddenPass>> = {
  cpu: inTiles,
  webgpu: fused,
  cuda: fused,
};
