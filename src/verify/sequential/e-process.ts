// The e-process of a test that may be stopped at any key: what the bets so far have won. A martingale that begins at 1 where the
// null holds, so that it ever reaches 1/p with probability p at most (Ville). Exact, as a product of fractions.

import { CERTAIN, type Ratio } from '../exact/ratio.ts';
import type { Bet } from './bets.ts';

/** Won and lost of each group. */
type Tally = readonly [[won: number, lost: number], [won: number, lost: number]];

interface Factor {
  readonly numerator: number;
  readonly denominator: number;
}

export class EProcess {
  readonly #prior: readonly [number, number];
  readonly #tally: Tally;
  #log2: number;
  /** Of every bet, in order; shared with copies, which only look ahead. */
  readonly #factors: Factor[] = [];
  #best: { readonly log2: number; readonly bets: number } = { log2: 0, bets: 0 };

  /** @param prior twice the parameters of the Beta mixture (bets.ts) */
  constructor(prior: readonly [number, number], from?: EProcess) {
    this.#prior = prior;
    this.#tally = from
      ? [[...from.#tally[0]], [...from.#tally[1]]]
      : [
          [0, 0],
          [0, 0],
        ];
    this.#log2 = from?.log2 ?? 0;
    if (from) this.#best = from.#best;
  }

  /** log2 of the value now, and of the greatest so far. */
  get log2(): number {
    return this.#log2;
  }
  get log2Best(): number {
    return this.#best.log2;
  }

  /** One that goes on from here and leaves this as it is. Its exact value is not known. */
  ahead(): EProcess {
    return new EProcess(this.#prior, this);
  }

  /**
   * The bet is laid as the mixture stands: (a + won)/(a + b + won + lost) on winning, over the odds. Their product is the integral of
   * the likelihood ratio over Beta(a, b).
   */
  lay({ group, odds: [chance, of], won }: Bet): void {
    const tally = this.#tally[group];
    const [a, b] = this.#prior;
    const all = a + b + 2 * (tally[0] + tally[1]);
    const factor = won
      ? { numerator: (a + 2 * tally[0]) * of, denominator: all * chance }
      : { numerator: (b + 2 * tally[1]) * of, denominator: all * (of - chance) };
    tally[won ? 0 : 1]++;
    this.#factors.push(factor);
    this.#log2 += Math.log2(factor.numerator / factor.denominator);
    if (this.#log2 > this.#best.log2) this.#best = { log2: this.#log2, bets: this.#factors.length };
  }

  /** 1 over the greatest value so far: a p-value wherever one stops. */
  get p(): Ratio {
    if (this.#best.bets === 0) return CERTAIN;
    const till = this.#factors.slice(0, this.#best.bets);
    // Upside down, since it is one over the product.
    const p = {
      numerator: product(till.map(({ denominator }) => BigInt(denominator))),
      denominator: product(till.map(({ numerator }) => BigInt(numerator))),
    };
    // A greatest value that is 1 but for rounding.
    return p.numerator > p.denominator ? CERTAIN : p;
  }
}

/** Halves first: factors of like size multiply fast. */
function product(factors: readonly bigint[]): bigint {
  if (factors.length <= 8) return factors.reduce((a, b) => a * b, 1n);
  const half = factors.length >> 1;
  return product(factors.slice(0, half)) * product(factors.slice(half));
}
