// Standard normal numbers that every machine and language makes alike: 65,536 cells of equal probability, each stood for
// by its mean. Only +, -, ·, / and √ of IEEE doubles are used: the platform's exp and cos differ in their last bits.

/** Every value is a whole number of such steps. */
export const STEP = 2 ** -12;
const HALF = 32_768; // cells of the positive half
const CELLS = 2 * HALF;
const SQRT_TWO_PI = 2.5066282746310002; // the double nearest to it
// ln 2 in two parts: k·LN2_HIGH is exact for the small k that occur.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** e^-y for 0 <= y < 20, within two units in the last place. */
function expMinus(y: number): number {
  const k = Math.floor(y / Math.LN2 + 0.5);
  const r = y - k * LN2_HIGH - k * LN2_LOW; // |r| <= ln 2 / 2
  let sum = 1;
  for (let i = 18; i >= 1; i--) sum = 1 - (r / i) * sum;
  return sum * 2 ** -k;
}

const density = (x: number): number => expMinus((x * x) / 2) / SQRT_TWO_PI;

/** Φ(x) - 1/2 for x >= 0: φ(x)·(x + x³/3 + x⁵/15 + …), of positive terms alone. */
function above(x: number): number {
  let [term, sum] = [x, x];
  for (let i = 3; term > sum * 2 ** -60; i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return density(x) * sum;
}

let made: Int16Array | undefined;

/**
 * By a 16-bit word: the low 15 bits say which cell of the positive half, counted from 0, the top bit is the sign. A cell's
 * mean is E[G | G in the cell], rounded towards 0 to a multiple of `STEP`; the value is in steps.
 *
 * A mean for its cell, and a step towards 0, can only lower E[exp(λξ)] (Jensen; cosh rises with |ξ|). So for every fixed v
 * E[exp(λ⟨ξ,v⟩/‖v‖)] <= exp(λ²/2) holds exactly, and with it exp(-z²/2) as a bound on the tail: no limit theorem is needed.
 */
export function normalCells(): Int16Array {
  if (made) return made;
  made = new Int16Array(CELLS);
  let [edge, height] = [0, density(0)];
  for (let k = 0; k < HALF; k++) {
    let next = edge + 1 / CELLS / height;
    for (let i = 0; i < 6 && k + 1 < HALF; i++) next -= (above(next) - (k + 1) / CELLS) / density(next);
    const nextHeight = k + 1 < HALF ? density(next) : 0; // the last cell has no end
    made[k] = Math.floor((CELLS * (height - nextHeight)) / STEP);
    made[k + HALF] = -made[k]!;
    [edge, height] = [next, nextHeight];
  }
  return made;
}
