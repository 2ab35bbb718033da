// Channels that were drawn for by themselves: given the suspect their e-values are independent, so their product is one
// (docs/claims.md, section 10). Each part is shown, and the verdict is decided by the product alone.

import { LOG10_OWNER_DRAWS } from '../claim/grinding.ts';
import { T7, T7_NAME, T7_NULL } from './exact/t7.ts';
import type { StampReading } from './stamp.ts';
import { reasonFor, type Verdict } from './verdict.ts';

export interface Channels {
  /** The answers' p and its e-value; null where none is given, or no key was committed. */
  readonly keys: { readonly log10_p: number; readonly log10_e: number } | null;
  /** Null where no p-value may be given. */
  readonly stamp: StampReading | null;
  /** Of the product. */
  readonly log10_e: number;
}

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
 * The verdict on all channels of a claim that has a stamp. @param base that of the keys alone
 * @param doubts why the stamp may give no p-value either; then nothing of it counts
 */
export function withStamp(
  base: Verdict,
  read: StampReading,
  hasKeys: boolean,
  doubts: readonly string[],
): Verdict & { readonly channels: Channels } {
  const keys =
    hasKeys && base.log10_p !== null
      ? { log10_p: base.log10_p, log10_e: log10Calibrated(base.log10_p) }
      : null;
  const stamp = doubts.length > 0 ? null : read;
  const log10_e = (keys?.log10_e ?? 0) + (stamp?.log10_e ?? 0);
  const channels: Channels = { keys, stamp, log10_e };
  if (!keys && !stamp) return { ...base, channels };
  // All draws come out of one seed of 256 bits: no p below 2^-256 means anything.
  const floor = T7.floor({});
  const log10_p = Math.min(0, Math.max(floor.log10_p, -log10_e));
  const left = Math.min(0, log10_p + LOG10_OWNER_DRAWS);
  return {
    ...base,
    verdict: left <= Math.log10(base.alpha) ? 'verified' : 'not-verified',
    p_value: 10 ** log10_p,
    log10_p,
    log10_p_after_grinding: left,
    exact: true,
    reason: reasonFor({ p_value: 10 ** log10_p, log10_p }, left, base.alpha),
    test: hasKeys ? `${base.test}; ${T7_NAME}` : base.test,
    floor,
    null_hypothesis: hasKeys ? `${base.null_hypothesis} ${T7_NULL}` : base.null_hypothesis,
    assumptions:
      hasKeys && !keys
        ? [...base.assumptions, `The keys count for nothing: ${base.reason}`]
        : base.assumptions,
    channels,
  };
}
