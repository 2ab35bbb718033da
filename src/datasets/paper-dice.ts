// The paper's key making over the run's own randomness: CPython's three functions, a secret seed.

import { CPythonRandom, type Dice } from '../base/cpython-random.ts';
import type { RandomSource } from '../base/random-source.ts';

/** 128 bits of the source seed CPython's generator, so that `--keys paper` gives keys nobody else holds. */
export function paperDice(random: RandomSource): Dice {
  let seed = 0n;
  for (let i = 0; i < 4; i++) seed = (seed << 32n) | BigInt(random.int(2 ** 32));
  return new CPythonRandom(seed);
}
