// How far out z lies: log10 of the normal tail beyond where doubles end, and the e-value that a verdict decides by.

/**
 * log Q(z), the natural logarithm of P(G >= z); within 1e-13 of itself, or 1e-15 where it is nearly 0. By the
 * series of Φ near 0 and Laplace's continued fraction Q(z) = φ(z)/(z + 1/(z + 2/(z + …))) from 1.5 on.
 */
function logTail(z: number): number {
  if (z < 0) return Math.log1p(-Math.exp(logTail(-z)));
  if (z >= 1.5) {
    let denominator = z;
    for (let k = 120; k >= 1; k--) denominator = z + k / denominator;
    return logDensity(z) - Math.log(denominator);
  }
  let [term, sum] = [z, z];
  for (let i = 3; term > sum * 2 ** -60; i += 2) {
    term *= (z * z) / i;
    sum += term;
  }
  return Math.log(0.5 - Math.exp(logDensity(z)) * sum);
}

const logDensity = (z: number): number => -(z * z) / 2 - Math.log(2 * Math.PI) / 2;

export const log10Tail = (z: number): number => logTail(z) / Math.LN10;

/** Spread of the half-normal mixture of λ: fixed here for all claims, so that nobody chooses it after z. */
const TAU = 10;

/**
 * log10 of E = ∫ exp(λz - λ²/2) of λ half-normal with spread τ = 2Φ(s·z)·exp(s²z²/2)/√(1 + τ²), s² = τ²/(1 + τ²). Its mean
 * under the null hypothesis is at most 1 for every z whose E[exp(λz)] is at most exp(λ²/2) (see normal-cells.ts).
 */
export function log10EValue(z: number): number {
  const s2 = TAU ** 2 / (1 + TAU ** 2);
  const log = Math.LN2 + logTail(-Math.sqrt(s2) * z) + (s2 * z * z) / 2 - Math.log1p(TAU ** 2) / 2;
  return log / Math.LN10;
}
