// The second stream of encoder-decoders: sources as packed rows, which each sequence has, and the pass through the encoder.

import { WhorlError } from '../base/error.ts';
import type { Graph, Value } from '../engine/graph.ts';
import { input } from '../engine/ops/leaves.ts';
import type { Feed } from '../engine/session.ts';
import { bucketFeed } from './blocks/relative.ts';
import { encoderAttention, type SourceInputs, sourceInputs } from './blocks/source-attention.ts';
import { embed } from './embedding.ts';
import type { Decoder, Weights } from './family.ts';
import type { OverlayInputs, Variant } from './overlay.ts';
import { packLengths } from './pack.ts';

/** Sources are padded to a multiple of so many rows; see source-attention.ts. */
const MULTIPLE = 64;

/** A text that a decoder attends to, and which parts of the overlay it sees. */
export interface Source {
  readonly tokens: readonly number[];
  readonly variant: Variant;
}

export interface Encoded {
  readonly inputs: SourceInputs;
  /** [SR, E] */
  readonly states: Value;
}

/**
 * The encoder's pass over a graph's sources; undefined for a decoder without one.
 * @param count see `sourceInputs`
 * @param embedded sees the embedded rows and may put others in their place
 */
export function encodedSources(
  graph: Graph,
  decoder: Decoder,
  weights: Weights,
  overlay: OverlayInputs | undefined,
  count: string,
  embedded: (x: Value) => Value = (x) => x,
): Encoded | undefined {
  if (!decoder.encoder) return undefined;
  const inputs = sourceInputs(graph, count);
  const on = overlay && {
    rows: input(graph, 'source_rows_on', 'float32', ['SR']),
    adapter: input(graph, 'source_adapter_on', 'float32', ['SR']),
  };
  const x = embedded(embed(decoder, weights, inputs.ids, overlay, on));
  return { inputs, states: decoder.encoder.hidden(weights, x, encoderAttention(decoder, inputs)) };
}

/** Feeds of `encodedSources`. */
export function sourceFeeds(
  { scores }: Decoder,
  sources: readonly Source[],
  overlaid: boolean,
): Record<string, Feed> {
  const {
    T: U,
    S,
    B: X,
    lengths,
    feeds,
    owner,
  } = packLengths(
    sources.map(({ tokens }) => tokens.length),
    undefined,
    MULTIPLE,
  );
  const mask = new Float32Array(X * S).fill(-1e30);
  lengths.forEach((length, x) => mask.fill(0, x * S, x * S + length));
  const spread = (on: (variant: Variant) => boolean): Feed => ({
    data: Float32Array.from(owner, (x) => (on(sources[x]!.variant) ? 1 : 0)),
    shape: [U],
  });
  return {
    source_ids: { data: Int32Array.from(sources.flatMap(({ tokens }) => tokens)), shape: [U] },
    source_unpack: feeds.unpack,
    source_pack: feeds.pack,
    source_live: feeds.live,
    source_ones: feeds.ones,
    source_mask: { data: mask, shape: [X, 1, 1, S] },
    ...(scores?.relative && { source_pairs: bucketFeed(scores.relative, [S, S], true) }),
    ...(overlaid && { source_rows_on: spread((v) => v.rows), source_adapter_on: spread((v) => v.adapter) }),
  };
}

/** Distinct sources, and which of them each sequence has. */
export function distinctSources(given: readonly Source[]): { sources: Source[]; of: Int32Array } {
  const place = new Map<string, number>();
  const sources: Source[] = [];
  const of = Int32Array.from(given, (source) => {
    const { tokens, variant } = source;
    const key = `${variant.rows} ${variant.adapter} ${tokens.join(' ')}`;
    const known = place.get(key);
    if (known !== undefined) return known;
    place.set(key, sources.length);
    return sources.push(source) - 1;
  });
  // A matrix product with one row would take another kernel, with other last bits.
  if (sources.length === 1 && sources[0]!.tokens.length === 1) sources.push(sources[0]!);
  return { sources, of };
}

/**
 * The sources of sequences, as many as there are.
 * @throws WhorlError `usage` where a source is missing, empty, or given to a decoder that has no encoder
 */
export function sourcesOf(
  { encoder, model_type }: Decoder,
  sequences: readonly { readonly source?: readonly number[] | undefined; readonly variant: Variant }[],
): Source[] {
  return sequences.flatMap(({ source, variant }) => {
    if ((source !== undefined && source.length > 0) === (encoder !== undefined))
      return source ? [{ tokens: source, variant }] : [];
    throw new WhorlError(
      'usage',
      encoder
        ? `${model_type} reads a source, and none is given`
        : `${model_type} reads no source beside its text`,
      encoder ? 'give it a source of at least one token' : 'give it one text',
    );
  });
}
