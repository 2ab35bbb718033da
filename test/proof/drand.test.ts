// Public dice: real rounds of drand's quicknet verify offline, and nothing else does.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { QUICKNET, type Round, roundFrom, roundTime, valueOfRound } from '../../src/proof/drand.ts';

const { quicknet: rounds } = JSON.parse(
  readFileSync(join(packageRoot(), 'test/fixtures/proofs/rounds.json'), 'utf8'),
) as { quicknet: { round: number; signature: string; randomness?: string }[] };
const chain = QUICKNET.hash;
const of = (i: number): Round => ({ chain, round: rounds[i]!.round, signature: rounds[i]!.signature });

test('the pinned key is the one that the chain is called by', () => {
  const group = 'f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e'; // drand's group hash of quicknet
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32BE(QUICKNET.period, 0);
  numbers.writeBigUInt64BE(BigInt(QUICKNET.genesis), 4);
  const hash = createHash('sha256').update(numbers).update(Buffer.from(QUICKNET.publicKey, 'hex'));
  expect(hash.update(Buffer.from(group, 'hex')).update('quicknet').digest('hex')).toBe(QUICKNET.hash);
});

test('real rounds verify, and their value is drand’s', () => {
  expect(valueOfRound(of(0))).toBe(rounds[0]!.randomness);
  for (const i of [1, 2, 3]) expect(valueOfRound(of(i))).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  ['the signature of another round', { ...of(0), signature: of(1).signature }, /not one by drand/],
  ['a round that was not signed', { ...of(0), round: 1002 }, /not one by drand/],
  ['another chain', { ...of(0), chain: 'a'.repeat(64) }, /of chain aaaa/],
  ['one bit', { ...of(0), signature: of(0).signature.replace(/9$/, '8') }, /not one by drand/],
  [
    'the other point of the same x',
    { ...of(0), signature: of(0).signature.replace(/^b/, '9') },
    /not one by drand/,
  ],
  ['the point at infinity', { ...of(0), signature: `c${'0'.repeat(95)}` }, /not one by drand/],
  ['no point', { ...of(0), signature: `8${'f'.repeat(95)}` }, /not one by drand/],
  ['a counter', { ...of(0), signature: '1'.padStart(96, '0') }, /not one by drand/],
])('%s is refused', (_, round, says) => {
  expect(() => valueOfRound(round)).toThrow(says);
});

test('another key than the pinned one signs nothing', () => {
  const key =
    '868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a569937c529eeda66c7293784a9402801af31';
  expect(() => valueOfRound(of(0), { ...QUICKNET, publicKey: key })).toThrow(/not one by drand/);
});

test('round and time: round 1000 came on 2023-08-23 at 15:59:24', () => {
  expect(new Date(roundTime(1000)).toISOString()).toBe('2023-08-23T15:59:24.000Z');
  expect([roundFrom(roundTime(1000)), roundFrom(roundTime(1000) + 1), roundFrom(0)]).toEqual([1000, 1001, 1]);
});
