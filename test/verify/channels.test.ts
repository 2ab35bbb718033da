import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/claim.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { keyRoles, type OpenedOf, openClaim } from '../../src/claim/open.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import type { StampPlan } from '../../src/claim/stamp.ts';
import { log10EValue, log10Tail } from '../../src/stamp/tail.ts';
import { log10Calibrated, withStamp } from '../../src/verify/channels.ts';
import type { StampReading } from '../../src/verify/stamp.ts';
import { decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';

const { calibrated } = JSON.parse(
  readFileSync(new URL('../../goldens/stamp/golden.json', import.meta.url), 'utf8'),
) as { calibrated: { log10_p: number; log10_e: string }[] };

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

function opened(): OpenedOf<'drawn-answers'> {
  const plan = { ...answersPlan(), stamp: STAMP };
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
  return openClaim(claim, secret) as OpenedOf<'drawn-answers'>;
}

test('a stamp beside keys is committed with them, and named in claim.json', () => {
  const { claim, stamp } = opened();
  expect(claim.channels).toEqual(['keys', 'stamp']);
  expect(stamp!.plan).toEqual(STAMP);
  expect(stamp!.keyOf('a.weight')).toHaveLength(32);
});

test('a claim whose list of channels was edited is refused', () => {
  const plan = { ...answersPlan(), stamp: STAMP };
  const { claim, opening } = commitClaim(plan, committing());
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const edited = { ...claim, channels: ['keys'] } as unknown as typeof claim;
  const secret = {
    claim: edited,
    plan,
    bindings,
    opening: opening.reveal(),
    draw,
    randomness: null,
    adapter: null,
    rows: null,
  };
  expect(() => openClaim(edited, secret as unknown as SecretContents)).toThrow(/list of channels/);
});

test('a picked draw has no stamp', () => {
  const picked = { kind: 'drawn-answers', indices: new Array<number>(32).fill(0) } as const;
  const draw = { source: 'hand-picked', picked } as const;
  expect(() => commitClaim({ ...answersPlan(), stamp: STAMP }, committing({ draw }))).toThrow(/never picked/);
});

test('the product decides: two channels that are each too weak verify together', () => {
  const claim = opened();
  let left = 11; // of 32 keys
  const answers = keyRoles(claim).map(({ target }) => (left-- > 0 ? target : 'hm'));
  const alone = decide(claim, answers);
  const both = withStamp(alone, reading(9), true, []);
  const { keys, stamp, log10_e } = both.channels;
  expect(alone.verdict).toBe('not-verified');
  expect(
    withStamp(
      decide(
        claim,
        answers.map(() => 'hm'),
      ),
      reading(9),
      true,
      [],
    ).verdict,
  ).toBe('not-verified');
  expect(both.verdict).toBe('verified');
  expect(keys!.log10_p).toBe(alone.log10_p);
  expect(log10_e).toBeCloseTo(keys!.log10_e + stamp!.log10_e, 12);
  expect(both.log10_p).toBeCloseTo(-log10_e, 12);
});

test('answers under a system prompt count for nothing, the stamp still does; without a draw neither', () => {
  const claim = opened();
  const answers = keyRoles(claim).map(({ target }) => target);
  const prompted = decide(claim, answers, { asked: { wrapper: 'bare', system: 'x' } });
  const stampOnly = withStamp(prompted, reading(40), true, []);
  expect(stampOnly).toMatchObject({ verdict: 'verified', exact: true, channels: { keys: null } });
  expect(stampOnly.assumptions.at(-1)).toMatch(/keys count for nothing: A system text was used/);
  const nothing = withStamp(decide(claim, answers, { doubts: ['no.'] }), reading(40), true, ['no.']);
  expect(nothing).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null });
});
