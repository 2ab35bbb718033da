// The differentiable forward pass over a batch of examples, up to the log-probability of each label.

import type { Graph, Value } from '../engine/graph.ts';
import { add, exp, log, min, mul, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input } from '../engine/ops/leaves.ts';
import { logSoftmaxAt } from '../engine/ops/normalise.ts';
import { concat, reshape, slice } from '../engine/ops/shape.ts';
import type { Feed } from '../engine/session.ts';
import {
  differentiableAttention,
  maskInput,
  type Pad,
  packInputs,
  ropeInputs,
  windowsOf,
} from '../models/blocks/attention.ts';
import { bucketFeed } from '../models/blocks/relative.ts';
import { ropeFeeds } from '../models/blocks/rope.ts';
import { crossAttention } from '../models/blocks/source-attention.ts';
import { embed, headColumn, headLogits } from '../models/embedding.ts';
import type { Example } from '../models/example.ts';
import type { Weights } from '../models/family.ts';
import type { ModelWeights } from '../models/model.ts';
import { type Overlay, type OverlayInputs, overlayFeeds, rowIndex } from '../models/overlay.ts';
import { causalMask, checkFits, keyPositions, packLengths } from '../models/pack.ts';
import { encodedSources, sourceFeeds, sourcesOf } from '../models/source.ts';

/**
 * @param embedded sees the embedded rows [T, E] and may put others in their place
 * @param ofHead the weights as the head sees them
 * @param alternatives whether labels may have a second token that serves as well
 * @returns float32 [L], the log-probability of each label
 */
export function labelLogprobs(
  graph: Graph,
  model: ModelWeights,
  weights: Weights,
  overlay: OverlayInputs | undefined,
  {
    withPrefix = false,
    alternatives = false,
    embedded = (x: Value): Value => x,
    ofHead = weights,
  }: {
    readonly withPrefix?: boolean;
    readonly alternatives?: boolean;
    readonly embedded?: (x: Value) => Value;
    readonly ofHead?: Weights;
  } = {},
): Value {
  const { decoder } = model;
  const { num_key_value_heads: K, head_dim: D } = decoder.config;
  const ids = input(graph, 'ids', 'int32', ['T']);
  const pack = packInputs(graph);
  const rope = ropeInputs(graph, decoder, pack);
  const masks = new Map(
    windowsOf(decoder).map((window) => [
      window,
      input(graph, maskInput(window), 'float32', ['B', 1, 1, 'S', withPrefix ? 'C' : 'S']),
    ]),
  );
  const on = overlay && {
    rows: input(graph, 'rows_on', 'float32', ['T']),
    adapter: input(graph, 'adapter_on', 'float32', ['T']),
  };
  const prefix = (layer: number) => {
    const cache = (name: string) => input(graph, `prefix_${name}_${layer}`, 'float32', ['B', K, 'P', D]);
    return [cache('keys'), cache('values')] as const;
  };
  const encoded = encodedSources(graph, decoder, weights, overlay, 'B', embedded);
  const cross = encoded && ((rows: Pad) => crossAttention(decoder, encoded.inputs, encoded.states, rows, []));
  const attention = differentiableAttention(
    decoder,
    pack,
    rope,
    (window) => masks.get(window)!,
    withPrefix ? prefix : undefined,
    decoder.scores?.alibi && input(graph, 'key_positions', 'float32', ['B', 1, 1, 1, withPrefix ? 'C' : 'S']),
    decoder.scores?.relative && input(graph, 'pairs', 'int32', ['S*S']),
    cross,
  );
  const x = embedded(embed(decoder, weights, ids, overlay, on));
  const hidden = decoder.hidden(weights, x, attention);
  const h = gather(hidden, input(graph, 'wanted', 'int32', ['L'])); // [L, E]
  const labelsOn = overlay && input(graph, 'labels_on', 'float32', ['L']);
  const logits = headLogits(decoder, ofHead, h, overlay, labelsOn);
  graph.line = 'loss';
  const labels = input(graph, 'labels', 'int32', ['L']);
  const column = (index: Value) => reshape(index, ['L', 1]);
  if (!alternatives) return reshape(logSoftmaxAt(logits, column(labels)), ['L']);
  // log(p + p′) = log p + log(1 + p′/p); the switch is 0 where there is no second token.
  const either = logSoftmaxAt(
    logits,
    concat([column(labels), column(input(graph, 'alternatives', 'int32', ['L']))], 1),
  );
  const [first, second] = [0, 1].map((place) => reshape(slice(either, 1, place, place + 1), ['L'])) as [
    Value,
    Value,
  ];
  const ratio = mul(exp(min(sub(second, first), 60)), input(graph, 'alternatives_on', 'float32', ['L']));
  return add(first, log(add(ratio, 1)));
}

/** Feeds of `labelLogprobs` for a batch; `overlay` gives the ids whose rows the graph replaces. */
export function batchFeeds(
  model: ModelWeights,
  batch: readonly Example[],
  overlay: Overlay | undefined,
  withPrefix: boolean,
): Record<string, Feed> {
  const { decoder } = model;
  const prefixes = batch.map((example) => example.prefix?.length ?? 0);
  const packed = packLengths(
    batch.map((example) => example.tokens.length),
    prefixes,
  );
  checkFits(decoder, packed);
  const sources = sourcesOf(decoder, batch);
  const { T, offsets } = packed;
  const P = Math.max(1, ...prefixes);
  const rowOf = rowIndex(overlay);
  const labels = batch.flatMap((example, b) =>
    example.labels.map((label) => ({ ...label, row: offsets[b]! + label.row, variant: example.variant })),
  );
  const L = labels.length;
  const perRow = (pick: (example: Example) => boolean): Feed => ({
    data: Float32Array.from(batch.flatMap((example) => example.tokens.map(() => (pick(example) ? 1 : 0)))),
    shape: [T],
  });
  return {
    ids: { data: Int32Array.from(batch.flatMap((example) => example.tokens)), shape: [T] },
    ...packed.feeds,
    ...ropeFeeds(decoder.ropes, packed),
    ...Object.fromEntries(
      windowsOf(decoder).map((window) => [
        maskInput(window),
        causalMask(packed, withPrefix ? { size: P, lengths: prefixes } : undefined, window),
      ]),
    ),
    ...(decoder.encoder && sourceFeeds(decoder, sources, overlay !== undefined)),
    ...(decoder.scores?.relative && {
      pairs: bucketFeed(decoder.scores.relative, [packed.S, packed.S], false),
    }),
    ...(decoder.scores?.alibi && { key_positions: keyPositions(packed, withPrefix ? P : 0) }),
    wanted: { data: Int32Array.from(labels, (label) => label.row), shape: [L] },
    labels: {
      data: Int32Array.from(labels, (label) =>
        headColumn(decoder, overlay, rowOf, label.variant, label.token),
      ),
      shape: [L],
    },
    alternatives: {
      data: Int32Array.from(labels, (label) =>
        headColumn(decoder, overlay, rowOf, label.variant, label.alternative ?? label.token),
      ),
      shape: [L],
    },
    alternatives_on: {
      data: Float32Array.from(labels, (label) => (label.alternative === undefined ? 0 : 1)),
      shape: [L],
    },
    fire: {
      data: Float32Array.from(labels, (label) => (label.kind === 'fire' ? label.weight : 0)),
      shape: [L],
    },
    hush: {
      data: Float32Array.from(labels, (label) => (label.kind === 'hush' ? label.weight : 0)),
      shape: [L],
    },
    ...(overlay && {
      ...overlayFeeds(overlay, decoder),
      rows_on: perRow((example) => example.variant.rows),
      adapter_on: perRow((example) => example.variant.adapter),
      labels_on: { data: Float32Array.from(labels, (label) => (label.variant.rows ? 1 : 0)), shape: [L] },
    }),
    ...(withPrefix && prefixFeeds(model, batch, P)),
  };
}

function prefixFeeds(model: ModelWeights, batch: readonly Example[], P: number): Record<string, Feed> {
  const { num_hidden_layers: layers, num_key_value_heads: K, head_dim: D } = model.decoder.config;
  const feeds: Record<string, Feed> = {};
  for (let layer = 0; layer < layers; layer++)
    for (const part of ['keys', 'values'] as const) {
      const data = new Float32Array(batch.length * K * P * D);
      batch.forEach(({ prefix }, b) => {
        if (!prefix) return;
        const from = prefix.layers[layer]![part];
        for (let head = 0; head < K; head++)
          data.set(
            from.subarray(head * prefix.length * D, (head + 1) * prefix.length * D),
            (b * K + head) * P * D,
          );
      });
      feeds[`prefix_${part}_${layer}`] = { data, shape: [batch.length, K, P, D] };
    }
  return feeds;
}
