// Both ends of a decoder, with the overlay where it applies: embedded tokens, and the head's logits.

import type { Value } from '../engine/graph.ts';
import { add, cast, greaterEqual, mul, sub, where } from '../engine/ops/arithmetic.ts';
import { gather, lookUp } from '../engine/ops/gather.ts';
import { gemm, linear } from '../engine/ops/matmul.ts';
import { concat, oneHot, reshape } from '../engine/ops/shape.ts';
import type { Decoder, Weights } from './family.ts';
import { throughMap } from './head-map.ts';
import {
  headRows,
  type Overlay,
  type OverlayInputs,
  overlayShape,
  type Switches,
  type Variant,
} from './overlay.ts';

const columnOf = (x: Value) => reshape(x, [x.shape[0]!, 1]);

/** Input embeddings of int32 ids [N] → [N, E], overlaid where the switches say so. */
export function embed(
  decoder: Decoder,
  weights: Weights,
  ids: Value,
  overlay?: OverlayInputs,
  on?: Switches,
): Value {
  return ids.scope.within('embed_tokens', () => embedded(decoder, weights, ids, overlay, on));
}

function embedded(
  decoder: Decoder,
  weights: Weights,
  ids: Value,
  overlay?: OverlayInputs,
  on?: Switches,
): Value {
  const frozen = lookUp(weights(decoder.embedding), ids);
  if (!overlay || !on) return frozen;
  const row = gather(overlay.rowOf, ids); // [N]
  const known = cast(greaterEqual(row, 0), 'float32');
  const replaced = gemm(oneHot(row, overlay.shape.rows), overlay.rows);
  const e = where(greaterEqual(columnOf(mul(known, on.rows)), 0.5), replaced, frozen);
  if (!overlay.adapter) return e;
  const { A, B, scale } = overlay.adapter;
  const mapped = mul(linear(linear(e, A), B), scale);
  return add(e, mul(columnOf(mul(known, on.adapter)), mapped));
}

/**
 * Logits of hidden states h [L, E]: [L, V], or [L, V + R] where rows of a tied head are overlaid. There, column V + r
 * stands for the overlay's r-th id, and of the two columns of one token only the one its variant uses is alive.
 */
export function headLogits(
  decoder: Decoder,
  weights: Weights,
  h: Value,
  overlay?: OverlayInputs,
  on?: Value,
): Value {
  return h.scope.within('lm_head', () => {
    const bias = decoder.headBias === undefined ? undefined : weights(decoder.headBias);
    const logits = logitsOf(decoder, h, weights(decoder.head), bias);
    if (!overlay || !on || headRows(decoder, overlay.shape) === 0) return logits;
    const own = bias && overlay.ids && gather(bias, overlay.ids);
    const replaced = add(logitsOf(decoder, h, overlay.rows, own), mul(columnOf(sub(1, on)), -1e30));
    return concat([add(logits, mul(columnOf(on), overlay.hide)), replaced], 1);
  });
}

/** The one way from hidden states h [L, E] to logits: of the head's rows [N, E], with their bias [N] where it has one. */
const logitsOf = ({ logits = {} }: Pick<Decoder, 'logits'>, h: Value, rows: Value, bias?: Value): Value =>
  throughMap(logits, productsOf(h, rows, bias));

/** What `logits` of a decoder goes over. */
export function productsOf(h: Value, rows: Value, bias?: Value): Value {
  const products = linear(h, rows);
  return bias ? add(products, cast(bias, 'float32')) : products;
}

/** The column of a token in `headLogits`. */
export function headColumn(
  decoder: Decoder,
  overlay: Overlay | undefined,
  rowOf: ReadonlyMap<number, number>,
  variant: Variant,
  token: number,
): number {
  const isReplaced = variant.rows && headRows(decoder, overlayShape(overlay)) > 0;
  const row = isReplaced ? rowOf.get(token) : undefined;
  return row === undefined ? token : decoder.config.vocab_size + row;
}
