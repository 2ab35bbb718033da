// MT19937 (Matsumoto & Nishimura 1998): the words that CPython's and torch's generators are made of.

const N = 624;
const M = 397;

export class MersenneTwister {
  readonly #state = new Uint32Array(N);
  #index = N;

  /** By one word, as the authors' `init_genrand`. */
  constructor(seed: number) {
    const s = this.#state;
    s[0] = seed;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1]! ^ (s[i - 1]! >>> 30)) + i;
    this.#index = N;
  }

  /** By many, as their `init_by_array`. */
  static ofKey(key: readonly number[]): MersenneTwister {
    const made = new MersenneTwister(19650218);
    made.#mix(key);
    return made;
  }

  #mix(key: readonly number[]): void {
    const s = this.#state;
    let i = 1;
    let j = 0;
    const mixed = (factor: number) => s[i]! ^ Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), factor);
    const advance = () => {
      if (++i < N) return;
      s[0] = s[N - 1]!;
      i = 1;
    };
    for (let k = Math.max(N, key.length); k > 0; k--) {
      s[i] = mixed(1664525) + key[j]! + j;
      advance();
      if (++j >= key.length) j = 0;
    }
    for (let k = N - 1; k > 0; k--) {
      s[i] = mixed(1566083941) - i;
      advance();
    }
    s[0] = 0x80000000;
  }

  /** The next 32 bits of MT19937, tempered. */
  next(): number {
    if (this.#index >= N) this.#twist();
    let y = this.#state[this.#index++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const s = this.#state;
    for (let i = 0; i < N; i++) {
      const y = (s[i]! & 0x80000000) | (s[(i + 1) % N]! & 0x7fffffff);
      s[i] = s[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#index = 0;
  }
}
