// The platform's secure generator behind the same few draws as CPython's: what owners' keys come from.

import { randomInt } from 'node:crypto';
import type { Dice } from './cpython-random.ts';
import { assert } from './error.ts';

export const platformDice: Dice = {
  randint: (low, high) => randomInt(low, high + 1),
  choices: (population, k) => Array.from({ length: k }, () => population[randomInt(population.length)]!),
  sample(population, k) {
    assert(k <= population.length, `a sample of ${k} from ${population.length}`);
    const pool = [...population];
    for (let i = 0; i < k; i++) {
      const j = randomInt(i, pool.length);
      [pool[i], pool[j]] = [pool[j]!, pool[i]!];
    }
    return pool.slice(0, k);
  },
};
