import { expect, it } from 'vitest';
import { bulkRandom, platformRandom, seededRandom, shuffled } from '../../src/base/random-source.ts';

const draws = (seed: bigint | string | Uint8Array, bound: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.int(bound));
};

// Expected values by Python's hmac and hashlib from the rule in the docstring.
it.each([
  [7n, [224141453, 1025240879, 200055052, 286885607, 471581875], [2, 3, 9, 4, 7, 2, 7, 5, 3, 7]],
  ['7', [363762921, 282131929, 1340321519, 915481910, 2689965073], [1, 2, 1, 9, 9, 9, 0, 3, 4, 5]],
  [
    Uint8Array.of(7),
    [171660790, 537073706, 2080990140, 632758129, 768096573],
    [0, 6, 7, 0, 9, 4, 3, 2, 1, 9],
  ],
])('draws what the rule says for case %#', (seed, large, small) => {
  expect(draws(seed, 3_000_000_000, 5)).toEqual(large); // three words in ten are thrown away here
  expect(draws(seed, 10, 10)).toEqual(small);
});

// Words by Python's hashlib.shake_256 from the rule in the docstrings.
it('draws in bulk what the rule says, over the end of a block too', () => {
  const draws = (bound: number, count: number) => {
    const random = bulkRandom(Uint8Array.from({ length: 32 }, (_, i) => i));
    return Array.from({ length: count }, () => random.int(bound));
  };
  expect(draws(2 ** 32, 4)).toEqual([3400298312, 2061306256, 1741548473, 2993952494]);
  expect(draws(3_000_000_000, 5)).toEqual([2061306256, 1741548473, 2993952494, 535257534, 2595966176]);
  expect(draws(10, 10)).toEqual([2, 6, 3, 4, 1, 0, 4, 6, 0, 8]);
  expect(draws(2 ** 32, 16_386).slice(-4)).toEqual([1583804495, 1847687445, 191428700, 3407010674]);
});

it('shuffles every item into place', () => {
  const list = Array.from({ length: 50 }, (_, i) => i);
  expect(shuffled(seededRandom(1n), list).toSorted((a, b) => a - b)).toEqual(list);
  expect(shuffled(seededRandom(1n), list)).not.toEqual(list);
});

it('refuses a draw from nothing', () => {
  for (const random of [platformRandom(), seededRandom(0n), bulkRandom(new Uint8Array(32))])
    for (const bound of [0, -1, 1.5, 2 ** 33]) expect(() => random.int(bound)).toThrow();
});
