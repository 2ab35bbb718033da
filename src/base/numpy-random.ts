// NumPy's `default_rng(seed)` (SeedSequence, PCG64), draw for draw: `datasets` shuffles with it, so the same seed gives
// the same order of rows. Not for secrets: whoever knows the seed knows every draw.

import { assert } from './error.ts';

const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n; // PCG64's, O'Neill 2014

export class NumpyRandom {
  #state: bigint;
  readonly #increment: bigint;
  /** Upper half of the last 64 bits, kept for the next draw of 32. */
  #half: number | undefined;

  /** As `numpy.random.default_rng(seed)`, seed >= 0. */
  constructor(seed: bigint) {
    assert(seed >= 0n, `a seed of ${seed}`);
    const [high, low, incrementHigh, incrementLow] = seedWords(seed);
    this.#increment = ((((incrementHigh! << 64n) | incrementLow!) << 1n) | 1n) & MASK_128;
    this.#state = this.#increment + ((high! << 64n) | low!);
    this.#step();
  }

  /** A whole number in [0, n), 1 <= n <= 2^32: Lemire's method over 32 bits, as `integers(0, n)` of every dtype. */
  below(n: number): number {
    assert(Number.isSafeInteger(n) && n >= 1 && n <= 2 ** 32, `below(${n})`);
    if (n === 1) return 0;
    if (n === 2 ** 32) return this.#next32();
    const threshold = 2 ** 32 % n;
    for (;;) {
      const product = BigInt(this.#next32()) * BigInt(n);
      if (Number(product & 0xffffffffn) >= threshold) return Number(product >> 32n);
    }
  }

  /** `below` many times: `integers(0, n, size=count)`. */
  integers(n: number, count: number): number[] {
    return Array.from({ length: count }, () => this.below(n));
  }

  /** Shuffles in place and returns the same list, of fewer than 2^32. Its draws are masked ones, not `below`'s. */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.#upTo(i);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
    return list;
  }

  /** 0 … n-1 in a random order. */
  permutation(n: number): number[] {
    return this.shuffle(Array.from({ length: n }, (_, i) => i));
  }

  /** A whole number in [0, most]: as many bits as `most` has, drawn until they do not exceed it. */
  #upTo(most: number): number {
    const mask = 0xffffffff >>> Math.clz32(most);
    for (;;) {
      const value = (this.#next32() & mask) >>> 0;
      if (value <= most) return value;
    }
  }

  #step(): void {
    this.#state = (this.#state * MULTIPLIER + this.#increment) & MASK_128;
  }

  /** Lower half of 64 bits first, then the upper one. */
  #next32(): number {
    if (this.#half !== undefined) {
      const half = this.#half;
      this.#half = undefined;
      return half;
    }
    this.#step();
    const folded = ((this.#state >> 64n) ^ this.#state) & MASK_64;
    const turn = this.#state >> 122n;
    const bits = ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
    this.#half = Number(bits >> 32n);
    return Number(bits & 0xffffffffn);
  }
}

const POOL = 4;

/** SeedSequence(seed).generate_state(4, uint64): the seed's 32-bit words hashed into a pool, and the pool into words. */
function seedWords(seed: bigint): bigint[] {
  const entropy: number[] = [];
  for (let rest = seed; rest > 0n; rest >>= 32n) entropy.push(Number(rest & 0xffffffffn));
  let constant = 0x43b0d7e5;
  const hash = (value: number): number => {
    let mixed = value ^ constant;
    constant = Math.imul(constant, 0x931e8875);
    mixed = Math.imul(mixed, constant);
    return mixed ^ (mixed >>> 16);
  };
  const mix = (x: number, y: number): number => {
    const mixed = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return mixed ^ (mixed >>> 16);
  };
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < POOL; from++)
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mix(pool[to]!, hash(pool[from]!));
  for (const word of entropy.slice(POOL))
    for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to]!, hash(word));

  let out = 0x8b51f9dd;
  const words = Array.from({ length: 2 * POOL }, (_, i) => {
    let value = pool[i % POOL]! ^ out;
    out = Math.imul(out, 0x58f38ded);
    value = Math.imul(value, out);
    return BigInt((value ^ (value >>> 16)) >>> 0);
  });
  return Array.from({ length: POOL }, (_, i) => words[2 * i]! | (words[2 * i + 1]! << 32n));
}
