// torch's generator of the CPU, draw for draw: what order a data loader of transformers' Trainer takes its rows in.

import { assert } from './error.ts';
import { MersenneTwister } from './mersenne-twister.ts';

/** torch draws twice as many bits for longer permutations. */
const MOST = Math.floor(2 ** 32 / 20);

/**
 * `torch.randperm(n, generator=torch.Generator().manual_seed(seed))`. Of the seed its lowest 32 bits count.
 * @param n 1 <= n < 2^32 / 20
 */
export function torchPermutation(n: number, seed: bigint): Uint32Array {
  assert(Number.isInteger(n) && n >= 1 && n < MOST, `a permutation of ${n}`);
  const words = new MersenneTwister(Number(BigInt.asUintN(32, seed)));
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (words.next() % (n - i));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
