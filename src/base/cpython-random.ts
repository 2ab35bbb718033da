// CPython's `random.Random`, draw for draw: the paper's keys come from it, so the same seed gives the same keys.
// Not for secrets: whoever knows the seed knows every draw. Owners' keys come from platform-random.ts.

import { createHash } from 'node:crypto';
import { assert, WhorlError } from './error.ts';
import { MersenneTwister } from './mersenne-twister.ts';

/** Where keys are drawn from: CPython's generator here, the platform's secure one beside it. */
export interface Dice {
  /** A whole number in [low, high], both ends included. */
  randint(low: number, high: number): number;
  /** `k` draws with replacement. */
  choices<T>(population: readonly T[], k: number): T[];
  /** `k` draws without replacement, in the order drawn. */
  sample<T>(population: readonly T[], k: number): T[];
}

export class CPythonRandom implements Dice {
  readonly #words: MersenneTwister;

  /** As `random.Random(int)`. A string is the integer's decimal digits, since JSON and YAML lose those beyond 2^53. */
  constructor(seed: bigint | string) {
    this.#words = MersenneTwister.ofKey(words(magnitude(typeof seed === 'string' ? parseSeed(seed) : seed)));
  }

  /** As `random.Random(str)` (version 2): the text's bytes followed by their SHA-512, read as one big-endian integer. */
  static ofText(text: string): CPythonRandom {
    const bytes = new TextEncoder().encode(text);
    const digest = createHash('sha512').update(bytes).digest();
    return new CPythonRandom(BigInt(`0x${Buffer.concat([bytes, digest]).toString('hex')}`));
  }

  /** A float in [0, 1) with 53 random bits. */
  random(): number {
    const a = this.#words.next() >>> 5;
    const b = this.#words.next() >>> 6;
    return (a * 67108864 + b) / 9007199254740992;
  }

  /** `k` random bits, k >= 0; words are taken from the least significant on. */
  getrandbits(k: number): bigint {
    let bits = 0n;
    for (let at = 0; at < k; at += 32) {
      const left = k - at;
      bits |= BigInt(left < 32 ? this.#words.next() >>> (32 - left) : this.#words.next()) << BigInt(at);
    }
    return bits;
  }

  /** A whole number in [0, n), 0 < n <= 2^53: draws of n's bit length until one is below n. */
  randbelow(n: number): number {
    assert(Number.isSafeInteger(n) && n > 0, `randbelow(${n})`);
    const k = n < 2 ** 32 ? 32 - Math.clz32(n) : n.toString(2).length;
    let r: number;
    do r = k <= 32 ? this.#words.next() >>> (32 - k) : Number(this.getrandbits(k));
    while (r >= n);
    return r;
  }

  randint(low: number, high: number): number {
    return low + this.randbelow(high - low + 1);
  }

  choices<T>(population: readonly T[], k: number): T[] {
    assert(population.length > 0, 'choices from nothing');
    return Array.from({ length: k }, () => population[Math.floor(this.random() * population.length)]!);
  }

  /** CPython swaps inside a pool for small populations and remembers what it took for large ones: two streams of draws. */
  sample<T>(population: readonly T[], k: number): T[] {
    const n = population.length;
    assert(k >= 0 && k <= n, `a sample of ${k} from ${n}`);
    if (n <= poolLimit(k)) {
      const pool = [...population];
      return Array.from({ length: k }, (_, i) => {
        const j = this.randbelow(n - i);
        const taken = pool[j]!;
        pool[j] = pool[n - i - 1]!;
        return taken;
      });
    }
    const selected = new Set<number>();
    return Array.from({ length: k }, () => {
      let j = this.randbelow(n);
      while (selected.has(j)) j = this.randbelow(n);
      selected.add(j);
      return population[j]!;
    });
  }

  /** Shuffles in place and returns the same list. */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.randbelow(i + 1);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
    return list;
  }
}

/** An integer seed from a flag or a file, all its digits kept. Throws WhorlError `usage` for anything else. */
export function parseSeed(text: string): bigint {
  if (!/^[+-]?\d{1,1000}$/.test(text))
    throw new WhorlError(
      'usage',
      `seed ${JSON.stringify(text.slice(0, 40))} is not a whole number`,
      'give decimal digits',
    );
  return BigInt(text.replace('+', ''));
}

const magnitude = (n: bigint) => (n < 0n ? -n : n); // CPython drops the sign

function words(n: bigint): number[] {
  const key: number[] = [];
  for (let rest = n; rest > 0n; rest >>= 32n) key.push(Number(rest & 0xffffffffn));
  return key.length > 0 ? key : [0];
}

/** Largest population CPython copies into a pool for `k` draws: 21, and for k > 5 a table of 4^ceil(log4(3k)) more. */
function poolLimit(k: number): number {
  if (k <= 5) return 21;
  let table = 1;
  while (table < 3 * k) table *= 4;
  return 21 + table;
}
