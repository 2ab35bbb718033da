// Channels that were drawn for by themselves: given the suspect their e-values are independent, so their product is one
// (docs/claims.md, section 10). Each part is shown; the keys alone or the product decide, whichever is better, paid twice.

import { log10EValue } from '../stamp/tail.ts';
import { lesser, type PValue, powerOfTen, type Ratio, toPValue } from './exact/ratio.ts';
import { T7 } from './exact/t7.ts';
import { LOG10_WAYS, type StampReading } from './stamp.ts';

export interface Channels {
  /** The answers' p, paid for ways of asking, and its e-value; null where none is given, or no key was committed. */
  readonly keys: { readonly log10_p: number; readonly log10_e: number } | null;
  /** Null where no p-value may be given. */
  readonly stamp: StampReading | null;
  /** Of the product. */
  readonly log10_e: number;
}

/** A p-value of one look, and the least that could have come out. */
export interface Weighed {
  readonly tail: Ratio;
  readonly reachable: Ratio;
}

/** All draws come out of one seed: no p below this means anything. */
const LEAST: Ratio = T7.reachable({}, { kind: 'drawn-direction' }, new Set());
export const FLOOR: PValue = toPValue(LEAST);

/**
 * log10 of the e-value of a p-value: (1 - p + p·ln p)/(p·(ln p)²), the mean of κ·p^(κ-1) over κ in (0, 1), which nobody has to
 * choose (Vovk and Wang 2021). Where p is nearly 1 its limit 1/2, which it never falls below.
 */
export function log10Calibrated(log10_p: number): number {
  const ln = log10_p * Math.LN10;
  const p = Math.exp(ln);
  if (1 - p < 1e-4) return Math.log10(0.5);
  return (Math.log(1 - p + p * ln) - ln - 2 * Math.log(-ln)) / Math.LN10;
}

/**
 * @param keys p of the answers and the least that they could have reached; undefined where neither counts
 * @param stamp undefined where it counts for nothing
 */
export function product(
  keys: Weighed | undefined,
  stamp: StampReading | undefined,
): { readonly channels: Channels; readonly weighed: Weighed | undefined } {
  const log10_p = keys && toPValue(keys.tail).log10_p;
  const ofKeys = log10_p === undefined ? null : { log10_p, log10_e: log10Calibrated(log10_p) };
  const log10_e = (ofKeys?.log10_e ?? 0) + (stamp?.log10_e ?? 0);
  const channels = { keys: ofKeys, stamp: stamp ?? null, log10_e };
  if (!keys && !stamp) return { channels, weighed: undefined };
  const most = (keys ? log10Calibrated(toPValue(keys.reachable).log10_p) : 0) + (stamp ? mostOf(stamp) : 0);
  const better = (joint: Ratio, alone: Ratio | undefined) => (alone ? lesser(joint, alone) : joint);
  const tail = better(overE(log10_e), keys?.tail);
  const reachable = better(overE(most), keys?.reachable);
  return { channels, weighed: { tail, reachable } };
}

/** 1/e, from a logarithm rounded down to hundredths: below that, two implementations may differ. */
function overE(log10_e: number): Ratio {
  if (log10_e >= -FLOOR.log10_p) return LEAST;
  return powerOfTen(Math.max(0, Math.floor(100 * log10_e)));
}

/** The e-value of weights that are the direction itself: z is its length, the root of their number. */
const mostOf = ({ elements }: StampReading): number =>
  elements === 0 ? 0 : log10EValue(Math.sqrt(elements)) - LOG10_WAYS;
