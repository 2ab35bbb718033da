import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { sha256Hex } from '../../src/base/sha256.ts';
import { canonicalJson } from '../../src/claim/canonical.ts';
import { type Claim, claimText, parseClaim } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw, pickedDraw, seededUniform } from '../../src/claim/draw.ts';
import { merkleRoot } from '../../src/claim/merkle.ts';
import { answersPlan, bindings, committing, membershipPlan } from './plans.ts';

test('the public claim names no key, candidate, decryption, row or seed', () => {
  const plan = membershipPlan(20, 3, 2);
  const { claim, opening } = commitClaim(plan, committing());
  const text = claimText(claim);
  const { owner_seed, salts } = opening.reveal();
  for (const secret of [...plan.keys.map((key) => key.text), ...plan.decryptions, owner_seed!, ...salts])
    expect(text).not.toContain(secret);
  expect(inspect(opening)).toBe('***');
  expect(parseClaim(text)).toEqual(claim);
});

test('the same plan committed twice gives two roots and two draws', () => {
  const [a, b] = [0, 1].map(() => commitClaim(answersPlan(), committing()));
  expect(a!.claim.root).not.toBe(b!.claim.root);
  const draw = ({ claim, opening }: NonNullable<typeof a>) => makeDraw(claim, opening.reveal().owner_seed!);
  expect(draw(a!)).toEqual(draw(a!));
  expect(draw(a!).indices).not.toEqual(draw(b!).indices);
});

test('the draw depends on the root, the seed and the beacon', () => {
  const { claim, opening } = commitClaim(
    answersPlan(),
    committing({ draw: { source: 'beacon', chain: 'c'.repeat(64), round: 9 } }),
  );
  const seed = opening.reveal().owner_seed!;
  const base = makeDraw(claim, seed, 'd'.repeat(64)).indices;
  expect(makeDraw(claim, seed, 'e'.repeat(64)).indices).not.toEqual(base);
  expect(makeDraw(claim, 'f'.repeat(64), 'd'.repeat(64)).indices).not.toEqual(base);
  expect(makeDraw({ ...claim, root: '0'.repeat(64) }, seed, 'd'.repeat(64)).indices).not.toEqual(base);
  expect(() => makeDraw(claim, seed)).toThrow(/needs the beacon value/);
});

test('a membership draw is n trained and some negatives of the rest', () => {
  const { claim, opening } = commitClaim(membershipPlan(), committing());
  const { trained, negatives } = makeDraw(claim, opening.reveal().owner_seed!);
  expect(new Set([...trained, ...negatives]).size).toBe(50);
  expect([trained.length, Math.max(...trained, ...negatives) < 400]).toEqual([20, true]);
});

test('drawn integers are uniform: chi-square over 20,000 slots', () => {
  const uniform = seededUniform('1'.repeat(64), '2'.repeat(64), '');
  const times = 20_000;
  for (const below of [2, 7, 200]) {
    const counts = new Array<number>(below).fill(0);
    for (let slot = 0; slot < times; slot++) counts[uniform(slot, below)]!++;
    const chi = counts.reduce((sum, c) => sum + (c - times / below) ** 2 / (times / below), 0);
    expect(chi).toBeLessThan(below - 1 + 5 * Math.sqrt(2 * (below - 1)));
  }
});

test('a hand-picked claim is not drawn, a drawn one not picked', () => {
  const picked = { kind: 'drawn-membership', trained: [0, 1, 2], negatives: [3, 4] } as const;
  const draw = { ...picked, trained: [...picked.trained], negatives: [...picked.negatives] };
  const { claim, opening } = commitClaim(
    membershipPlan(20, 3, 2),
    committing({ draw: { source: 'hand-picked', picked: draw } }),
  );
  expect(opening.reveal().owner_seed).toBeNull();
  expect(() => makeDraw(claim, '0'.repeat(64))).toThrow(/not drawn/);
  expect(pickedDraw(claim, draw)).toEqual(draw);
  expect(() => pickedDraw(claim, { ...draw, trained: [0, 1, 3] })).toThrow(/does not fit/);
  const own = commitClaim(membershipPlan(20, 3, 2), committing());
  expect(() => pickedDraw(own.claim, draw)).toThrow(/drawn, not picked/);
});

test.each<[string, () => unknown, RegExp]>([
  [
    'two keys alike',
    () => ({ ...answersPlan(2, 4), keys: Array(2).fill(answersPlan(1, 4).keys[0]) }),
    /two keys/,
  ],
  [
    'candidates alike but for case',
    () => ({ ...answersPlan(2, 2), candidates: [['Yes', 'yes']] }),
    /names one answer twice/,
  ],
  [
    'lists of two lengths',
    () => ({
      ...answersPlan(2, 2),
      candidates: [
        ['a', 'b'],
        ['a', 'b', 'c'],
      ],
    }),
    /different lengths/,
  ],
  [
    'three lists for two keys',
    () => ({ ...answersPlan(2, 2), candidates: Array(3).fill(['a', 'b']) }),
    /3 candidate lists/,
  ],
  ['a pool that is all drawn', () => membershipPlan(10, 10, 0), /make the pool larger/],
  ['more negatives than there are', () => membershipPlan(10, 5, 6), /6 negative keys/],
  [
    'repeats',
    () => ({ ...answersPlan(2, 2), query: { order: 'committed', repeats: 2, wrapper: 'bare' } }),
    /query\.repeats/,
  ],
  ['half a surrogate pair', () => ({ ...membershipPlan(4, 1, 0), decryptions: ['\ud800'] }), /surrogate/],
  ['alpha 0', () => ({ ...answersPlan(2, 2), alpha: 0 }), /alpha/],
])('a plan with %s is refused', (_, plan, message) => {
  expect(() => commitClaim(plan() as ReturnType<typeof answersPlan>, committing())).toThrow(message);
});

test('rows that are not ascending are refused', () => {
  const unsorted = { ...bindings, trainable_rows: [3, 2] };
  expect(() => commitClaim(answersPlan(2, 2), committing({ bindings: unsorted }))).toThrow(/not ascending/);
});

test.each<[string, (claim: Claim) => unknown, RegExp]>([
  ['a later version', (claim) => ({ ...claim, version: 3 }), /version 3, this Whorl reads 1 and 2/],
  ['an unknown field', (claim) => ({ ...claim, extra: 1 }), /unknown fields extra/],
  ['a missing field', ({ root: _, ...claim }) => claim, /field root/],
  ['a short root', (claim) => ({ ...claim, root: 'ab' }), /field root must be 64/],
  ['a time proof that version 1 cannot have', (claim) => ({ ...claim, time_proof: 'ots' }), /time_proof/],
  ['a list', (claim) => [claim], /\(whole\)/],
])('claim.json with %s is refused', (_, change, message) => {
  const { claim } = commitClaim(answersPlan(2, 4), committing());
  expect(() => parseClaim(JSON.stringify(change(claim)))).toThrow(message);
});

test('a claim with a __proto__ field is refused, and nothing is polluted', () => {
  const text = claimText(commitClaim(answersPlan(2, 4), committing()).claim);
  expect(() => parseClaim(text.replace('{', '{"__proto__": {"alpha": 1},'))).toThrow(/claim\.json/);
  expect(({} as { alpha?: number }).alpha).toBeUndefined();
});

test('canonical JSON is RFC 8785: its own example of sorting, and its numbers', () => {
  const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
  expect(canonicalJson(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  expect(canonicalJson([1e-6, 1e21, 0.5, -0, 'a"\\\n\u2028'])).toBe(
    '[0.000001,1e+21,0.5,0,"a\\"\\\\\\n\u2028"]',
  );
  expect(() => canonicalJson(Number.NaN)).toThrow(/NaN/);
});

test('the Merkle tree has the shape of RFC 6962: three leaves', () => {
  const [a, b, c] = [1, 2, 3].map((x) => new Uint8Array(32).fill(x));
  const left = Buffer.from(sha256Hex(Uint8Array.of(1), a!, b!), 'hex');
  expect(Buffer.from(merkleRoot([a!, b!, c!])).toString('hex')).toBe(sha256Hex(Uint8Array.of(1), left, c!));
});
