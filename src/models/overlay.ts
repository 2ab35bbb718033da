// What is laid over a checkpoint: changed embedding rows and a low-rank map of the input embeddings.
// A method makes overlays; training, publishing, verifying and attacking only apply them.

import { assert } from '../base/error.ts';
import type { Graph, Value } from '../engine/graph.ts';
import { input } from '../engine/ops/leaves.ts';
import type { Feed } from '../engine/session.ts';
import type { Decoder } from './family.ts';

/** e ↦ e + scale · B·A·e on the rows named by the overlay (Xu et al. 2024, F-Adapter; ours is fixed, never trained). */
export interface LowRankMap {
  readonly rank: number;
  readonly scale: number;
  /** [rank, E] */
  readonly A: Float32Array;
  /** [E, rank] */
  readonly B: Float32Array;
}

/** Rows `ids` of the embedding, and what stands in their place. With tied heads they are the head's rows too, unless said otherwise. */
export interface Overlay {
  readonly ids: Int32Array;
  /** [R, E] in float32 */
  readonly rows: Float32Array;
  readonly adapter?: LowRankMap;
  /** A tied head keeps its own rows: only what is looked up is replaced. */
  readonly lookupsOnly?: boolean;
}

/** Which parts of the overlay an example sees: published, published + adapter, vanilla and vanilla + adapter are all values. */
export interface Variant {
  readonly rows: boolean;
  readonly adapter: boolean;
}

export const VANILLA: Variant = { rows: false, adapter: false };
export const PUBLISHED: Variant = { rows: true, adapter: false };
export const PUBLISHED_WITH_ADAPTER: Variant = { rows: true, adapter: true };
export const VANILLA_WITH_ADAPTER: Variant = { rows: false, adapter: true };

/** Sizes an overlaid graph is compiled for. */
export interface OverlayShape {
  readonly rows: number;
  readonly rank: number;
  readonly lookupsOnly: boolean;
}

export const overlayShape = (overlay: Overlay | undefined): OverlayShape | undefined =>
  overlay && {
    rows: overlay.ids.length,
    rank: overlay.adapter?.rank ?? 0,
    lookupsOnly: overlay.lookupsOnly ?? false,
  };

/** Columns that the overlay's rows have behind a head's own: none but on a tied head. */
export const headRows = ({ config }: Decoder, shape: OverlayShape | undefined): number =>
  shape && config.tie_word_embeddings && !shape.lookupsOnly ? shape.rows : 0;

/** The graph inputs of an overlay. */
export interface OverlayInputs {
  readonly shape: OverlayShape;
  readonly rows: Value; // [R, E]
  readonly rowOf: Value; // int32 [V]: a token's row in the overlay, or −1
  readonly hide: Value; // [1, V]: −1e30 at replaced columns of the head
  /** int32 [R], where a tied head has a bias: each row's own is looked up by it. */
  readonly ids?: Value;
  readonly adapter?: { readonly A: Value; readonly B: Value; readonly scale: Value };
}

const hasTiedBias = ({ headBias, config }: Decoder): boolean =>
  headBias !== undefined && config.tie_word_embeddings;

/** @param rows the rows as a value that is computed (training); default: an input */
export function overlayInputs(
  graph: Graph,
  decoder: Decoder,
  shape: OverlayShape,
  rows?: Value,
): OverlayInputs {
  const { vocab_size: V, hidden_size: E } = decoder.config;
  const adapter = shape.rank > 0 && {
    A: input(graph, 'adapter_A', 'float32', [shape.rank, E]),
    B: input(graph, 'adapter_B', 'float32', [E, shape.rank]),
    scale: input(graph, 'adapter_scale', 'float32', []),
  };
  return {
    shape,
    rows: rows ?? input(graph, 'rows', 'float32', [shape.rows, E]),
    rowOf: input(graph, 'row_of', 'int32', [V]),
    hide: input(graph, 'hide', 'float32', [1, V]),
    ...(hasTiedBias(decoder) && { ids: input(graph, 'overlay_ids', 'int32', [shape.rows]) }),
    ...(adapter ? { adapter } : {}),
  };
}

export function overlayFeeds(overlay: Overlay, decoder: Decoder): Record<string, Feed> {
  const { vocab_size: V, hidden_size: E } = decoder.config;
  const R = overlay.ids.length;
  assert(overlay.rows.length === R * E, 'an overlay has a row for each id');
  const rowOf = new Int32Array(V).fill(-1);
  const hide = new Float32Array(V);
  overlay.ids.forEach((id, r) => {
    rowOf[id] = r;
    hide[id] = -1e30;
  });
  const { adapter } = overlay;
  return {
    rows: { data: overlay.rows, shape: [R, E] },
    row_of: { data: rowOf, shape: [V] },
    hide: { data: hide, shape: [1, V] },
    ...(hasTiedBias(decoder) && { overlay_ids: { data: overlay.ids, shape: [R] } }),
    ...(adapter && {
      adapter_A: { data: adapter.A, shape: [adapter.rank, E] },
      adapter_B: { data: adapter.B, shape: [E, adapter.rank] },
      adapter_scale: { data: Float32Array.of(adapter.scale), shape: [] },
    }),
  };
}

/** Per-row switches of the variant: float32 [N], 1 or 0. */
export interface Switches {
  readonly rows: Value;
  readonly adapter: Value;
}

export const rowIndex = (overlay: Overlay | undefined): ReadonlyMap<number, number> =>
  new Map([...(overlay?.ids ?? [])].map((id, r) => [id, r]));
