// What a head's products go through on their way to logits, as a value: graphs apply it, the exact KL of a tied head and
// the report of harm ask by how much a logit moves when its row does.

import type { Value } from '../engine/graph.ts';
import { add, mul, sub, tanh } from '../engine/ops/arithmetic.ts';
import { softCapped } from './blocks/activations.ts';

/** z ↦ scale·z, then y ↦ softcap · tanh(y / softcap); what is absent does nothing. Element by element. */
export interface HeadMap {
  readonly scale?: number;
  readonly softcap?: number;
}

/** Products of hidden states and the head's rows, its bias added → logits. */
export function throughMap({ scale, softcap }: HeadMap, products: Value): Value {
  const scaled = scale === undefined ? products : mul(products, scale);
  return softcap === undefined ? scaled : softCapped(softcap)(scaled);
}

/**
 * By how much logits move when their products do, without the difference of two large numbers:
 * tanh a − tanh b = tanh(a − b)·(1 − tanh a · tanh b).
 * @param products before the change; only a soft cap asks for them
 */
export function logitShift({ scale, softcap }: HeadMap, change: Value, products: () => Value): Value {
  const moved = scale === undefined ? change : mul(change, scale);
  if (softcap === undefined) return moved;
  const bent = (x: Value): Value => tanh(mul(x, 1 / softcap));
  const before = scale === undefined ? products() : mul(products(), scale);
  const both = mul(bent(before), bent(add(before, moved)));
  return mul(mul(bent(moved), sub(1, both)), softcap);
}

/** The same in double precision, of one logit. */
export function logitShiftOf({ scale = 1, softcap }: HeadMap, change: number, product: number): number {
  const moved = scale * change;
  if (softcap === undefined) return moved;
  const [before, after] = [(scale * product) / softcap, (scale * product + moved) / softcap];
  return softcap * Math.tanh(moved / softcap) * (1 - Math.tanh(before) * Math.tanh(after));
}
