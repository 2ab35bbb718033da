import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { keyRoles, type OpenedOf, openClaim } from '../../src/claim/open.ts';
import type { Bindings, PlanOf } from '../../src/claim/plan.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import type { StampPlan } from '../../src/claim/stamp.ts';
import { log10EValue, log10Tail } from '../../src/stamp/tail.ts';
import { log10Calibrated } from '../../src/verify/channels.ts';
import { powerOfTen, toPValue } from '../../src/verify/exact/ratio.ts';
import type { StampReading } from '../../src/verify/stamp.ts';
import { decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';

const { calibrated, claim: golden } = JSON.parse(
  readFileSync(new URL('../../goldens/stamp/golden.json', import.meta.url), 'utf8'),
) as {
  calibrated: { log10_p: number; log10_e: string }[];
  claim: {
    random: string[];
    plan: PlanOf['drawn-direction'];
    vanilla: Bindings['vanilla'];
    claim: object;
    key: string;
  };
};

test('the e-value of a p-value is the integral', () => {
  for (const { log10_p, log10_e } of calibrated)
    expect(Math.abs(log10Calibrated(log10_p) - Number(log10_e)), String(log10_p)).toBeLessThan(1e-9);
});

test('a mean over p uniform is 1: the calibrator pays no more than it may', () => {
  let mean = 0;
  const steps = 200_000; // of u in p = u⁴, whose density 4u³ tames the end at 0
  for (let i = 0; i < steps; i++) {
    const u = (i + 0.5) / steps;
    mean += (10 ** log10Calibrated(4 * Math.log10(u)) * 4 * u ** 3) / steps;
  }
  expect(mean).toBeGreaterThan(0.9);
  expect(mean).toBeLessThanOrEqual(1.0001);
});

const STAMP: StampPlan = {
  direction: 'shake256-normal-v1',
  epsilon: 0.001,
  matrices: [{ name: 'a.weight', dtype: 'bfloat16', shape: [4, 4], sha256: '7'.repeat(64), scale: 1e-5 }],
};
const reading = (z: number): StampReading => ({
  against_vanilla: true,
  z,
  log10_tail: log10Tail(z),
  log10_e: log10EValue(z) - Math.log10(2),
  elements: 16,
  left_out: 0,
  matrices: [],
  not_read: [],
});

type Answers = PlanOf['drawn-answers'];

function committed(change: Partial<Answers> = {}) {
  const plan = { ...answersPlan(), stamp: STAMP, ...change };
  const { claim, opening } = commitClaim(plan, committing());
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const secret = {
    claim,
    plan,
    bindings,
    opening: opening.reveal(),
    draw,
    randomness: null,
    adapter: null,
    rows: null,
  } as unknown as SecretContents;
  return { claim, secret };
}

function opened(change: Partial<Answers> = {}): OpenedOf<'drawn-answers'> {
  const { claim, secret } = committed(change);
  return openClaim(claim, secret) as OpenedOf<'drawn-answers'>;
}

test('a stamp beside keys is committed with them, and named in claim.json', () => {
  const { claim, stamp } = opened();
  expect(claim).toMatchObject({ version: 2, channels: ['keys', 'stamp'] });
  expect(stamp!.plan).toEqual(STAMP);
  expect(stamp!.keyOf('a.weight')).toHaveLength(32);
});

test('a claim of a stamp alone is that of hashlib: leaves, root, seed and key', () => {
  const { random, plan, vanilla, claim: theirs, key } = golden;
  let call = 0;
  const bound = { ...bindings, vanilla };
  const { claim, opening } = commitClaim(
    plan,
    committing({ bindings: bound, random: () => Buffer.from(random[call++]!, 'hex') }),
  );
  expect(claim).toEqual(theirs);
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const secret = { claim, plan, bindings: bound, opening: opening.reveal(), draw };
  const rest = { randomness: null, adapter: null, rows: null };
  const { stamp } = openClaim(claim, { ...secret, ...rest } as unknown as SecretContents);
  expect(Buffer.from(stamp!.keyOf('h.0.ü')).toString('hex')).toBe(key);
});

test('a claim whose list of channels was edited is refused', () => {
  const { claim, secret } = committed();
  const edited = { ...claim, channels: ['keys'] } as unknown as typeof claim;
  expect(() => openClaim(edited, { ...secret, claim: edited })).toThrow(/list of channels/);
});

test('a picked draw has no stamp', () => {
  const picked = { kind: 'drawn-answers', indices: new Array<number>(32).fill(0) } as const;
  const draw = { source: 'hand-picked', picked } as const;
  expect(() => commitClaim({ ...answersPlan(), stamp: STAMP }, committing({ draw }))).toThrow(/never picked/);
});

test('the product decides: two channels that are each too weak verify together', () => {
  const claim = opened();
  const fired = (count: number) => keyRoles(claim).map(({ target }, i) => (i < count ? target : 'hm'));
  const alone = decide(claim, fired(11));
  const both = decide(claim, fired(11), { stamp: reading(9) });
  const { keys, stamp, log10_e } = both.channels!;
  expect(alone.verdict).toBe('matches');
  expect(alone.channels).toBeUndefined();
  expect(decide(claim, fired(0), { stamp: reading(9) }).verdict).toBe('matches');
  expect(both.verdict).toBe('verified');
  expect(keys!.log10_p).toBeCloseTo(alone.log10_p! - Math.log10(2), 12);
  expect(log10_e).toBeCloseTo(keys!.log10_e + stamp!.log10_e, 12);
  // e is rounded down to hundredths of a decade, and the two ways to decide are paid for.
  expect(both.log10_p).toBeCloseTo(-Math.floor(100 * log10_e) / 100 + Math.log10(2), 8);
  expect(both.multiplicity).toBe(2);
  const { numerator, denominator } = both.p_exact!;
  expect(toPValue({ numerator: BigInt(numerator), denominator: BigInt(denominator) }).log10_p).toBeCloseTo(
    both.log10_p! - Math.log10(2),
    12,
  );
});

test('a stamp that says nothing costs a factor of two, whether it was read or not', () => {
  const [claim, plain] = [opened(), answersPlan()];
  const answers = keyRoles(claim).map(({ target }) => target);
  const unread = decide(claim, answers);
  expect(unread.log10_p).toBeCloseTo(-32 * Math.log10(plain.candidates[0]!.length) + Math.log10(2), 8);
  for (const z of [-3, 0, 1]) {
    const read = decide(claim, answers, { stamp: reading(z) });
    expect([read.log10_p, read.p_exact]).toEqual([unread.log10_p, unread.p_exact]);
  }
});

test('looks are paid for once, by the product; ways of asking by the keys alone', () => {
  const [once, claim] = [opened(), opened({ most_looks: 1000 })];
  const fired = (of: typeof claim) => keyRoles(of).map(({ target }, i) => (i < 11 ? target : 'hm'));
  const answers = fired(claim);
  const one = decide(once, fired(once), { stamp: reading(9) });
  const many = decide(claim, answers, { stamp: reading(9) });
  expect(many.channels).toEqual(one.channels);
  expect(many.log10_p! - one.log10_p!).toBeCloseTo(3, 10);
  expect(many.multiplicity).toBe(2000);
  const other = decide(claim, answers, { stamp: reading(9), asked: { wrapper: 'chat', system: null } });
  const wrappers = Object.keys(claim.plan.query.wrappers!).length;
  expect(other.channels!.keys!.log10_p - many.channels!.keys!.log10_p).toBeCloseTo(Math.log10(wrappers), 10);
  expect(other.multiplicity).toBe(2000);
  const late = decide(claim, answers, { stamp: reading(9), look: 1001 });
  expect(late).toMatchObject({ exact: false, channels: { keys: null, stamp: null } });
});

test('each of the four words', () => {
  const claim = opened();
  const none = keyRoles(claim).map(() => 'hm');
  const asked = (stamp: StampReading, changed: number[] = []) =>
    decide(claim, none, { stamp, changed }).verdict;
  const every = none.map((_, i) => i);
  const unread = { ...reading(0), log10_e: 0, elements: 0 };
  expect(asked(reading(40))).toBe('verified');
  expect(asked(reading(9))).toBe('matches');
  expect(asked(reading(0))).toBe('not-verified');
  expect(asked(unread, every)).toBe('undecided');
  expect(asked({ ...reading(0), elements: 100 }, every)).toBe('not-verified');
  expect(asked({ ...reading(0), elements: 16 }, every)).toBe('undecided'); // z is at most 4
  expect(asked(unread)).toBe('not-verified'); // all keys could have answered
});

test('answers under a system prompt count for nothing, the stamp still does; without a draw neither', () => {
  const claim = opened();
  const answers = keyRoles(claim).map(({ target }) => target);
  const prompted = { asked: { wrapper: 'bare', system: 'x' }, stamp: reading(40) };
  const stampOnly = decide(claim, answers, prompted);
  expect(stampOnly).toMatchObject({ verdict: 'verified', exact: true, channels: { keys: null } });
  expect(stampOnly.assumptions.at(-1)).toMatch(/keys count for nothing: A system text was used/);
  const nothing = decide(claim, answers, { doubts: ['no.'], stamp: reading(40) });
  expect(nothing).toMatchObject({
    verdict: 'not-verified',
    exact: false,
    p_value: null,
    reason: 'no. Counts only.',
  });
});

test('a level is met by the integer above a power of ten, never by the one below', () => {
  expect(powerOfTen(0)).toEqual({ numerator: 10n ** 9n, denominator: 10n ** 9n });
  expect(powerOfTen(600)).toEqual({ numerator: 10n ** 9n, denominator: 10n ** 15n });
  for (let hundredths = 1; hundredths < 7707; hundredths += 101) {
    const { numerator, denominator } = powerOfTen(hundredths);
    const atLeast = (a: bigint) => a ** 100n * 10n ** BigInt(hundredths) >= denominator ** 100n;
    expect([atLeast(numerator), atLeast(numerator - 1n)]).toEqual([true, false]);
  }
});

test('format 1 has no stamp', () => {
  expect(() => commitClaim({ ...answersPlan(), stamp: STAMP }, committing({ version: 1 }))).toThrow(
    /format 1 has no stamp/,
  );
});

test('a claim without a stamp has neither its channel nor its leaves', () => {
  const plain = commitClaim(answersPlan(), committing());
  const stamped = commitClaim({ ...answersPlan(), stamp: STAMP }, committing());
  expect(plain.claim).toMatchObject({ channels: ['keys'] });
  expect(stamped.claim.leaves - plain.claim.leaves).toBe(2);
});

test('looks of claim.json that the plan does not have are refused', () => {
  const { claim, secret } = committed({ most_looks: 3 });
  const edited = { ...claim, most_looks: 1 } as typeof claim;
  expect(() => openClaim(edited, { ...secret, claim: edited })).toThrow(/number of looks/);
});
