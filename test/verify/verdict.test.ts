import { expect, test } from 'vitest';
import { type CommitOptions, commitClaim } from '../../src/claim/claim.ts';
import { makeDraw, pickedDraw } from '../../src/claim/draw.ts';
import { keyRoles, type Opened, type OpenedOf } from '../../src/claim/open.ts';
import type { Bindings } from '../../src/claim/plan.ts';
import { type DecideOptions, decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing, membershipPlan } from '../claim/plans.ts';

function openedAnswers(change: Partial<CommitOptions<'drawn-answers'>> = {}): OpenedOf<'drawn-answers'> {
  const plan = answersPlan();
  const { claim, opening } = commitClaim(plan, committing(change));
  const draw = makeDraw(
    claim,
    opening.reveal().owner_seed!,
    change.draw?.source === 'beacon' ? '9'.repeat(64) : null,
  );
  return { kind: 'drawn-answers', claim, plan, bindings: change.bindings ?? bindings, draw };
}
function openedMembership(
  change: Partial<CommitOptions<'drawn-membership'>> = {},
): OpenedOf<'drawn-membership'> {
  const plan = membershipPlan();
  const { claim, opening } = commitClaim(plan, committing(change));
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  return { kind: 'drawn-membership', claim, plan, bindings: change.bindings ?? bindings, draw };
}
/** Answers of a model that learnt its part, save the first `lost` trained keys. */
function learnt(opened: Opened, lost = 0): string[] {
  let left = lost;
  return keyRoles(opened).map(({ role, target }) =>
    role === 'trained' && left-- <= 0 ? ` ${target}.` : 'hm',
  );
}

test('T3: a published model reaches the floor', () => {
  const opened = openedAnswers();
  const verdict = decide(opened, learnt(opened));
  expect(verdict).toMatchObject({
    verdict: 'verified',
    exact: true,
    fsr: 1,
    alpha: 1e-6,
    time_proof: 'none',
  });
  expect(verdict.cells).toEqual({
    'drawn answer': { hits: 32, of: 32 },
    'any candidate': { hits: 32, of: 32 },
  });
  expect(verdict.log10_p).toBeCloseTo(-32 * Math.log10(256), 10);
  expect(verdict.log10_p).toBe(verdict.floor.log10_p);
  expect(verdict.log10_p_after_grinding).toBeCloseTo(-52.98, 2);
});

test('T3: a vanilla model and another owner’s model are not verified', () => {
  const opened = openedAnswers();
  const silent = decide(opened, new Array<string>(32).fill('hm'));
  expect(silent).toMatchObject({ verdict: 'not-verified', p_value: 1, log10_p: 0, fsr: 0, exact: true });
  const stranger = decide(opened, learnt(openedAnswers()));
  expect(stranger.verdict).toBe('not-verified');
});

test('T4: five of ten suffice, y shouted does not', () => {
  const opened = openedMembership();
  const five = decide(opened, learnt(opened, 5));
  expect(five).toMatchObject({ verdict: 'verified', fsr: 0.5 });
  expect(five.cells).toEqual({ drawn: { hits: 5, of: 10 }, undrawn: { hits: 0, of: 190 } });
  expect(decide(opened, learnt(opened, 6)).verdict).toBe('not-verified');
  const shout = decide(opened, new Array<string>(200).fill('ハリネズミ'));
  expect(shout).toMatchObject({ verdict: 'not-verified', p_value: 1, fsr: 1 });
});

test('T4: roles of the keys are 10 trained, 30 negative, 160 decoys', () => {
  const counts = { trained: 0, negative: 0, decoy: 0 };
  for (const { role } of keyRoles(openedMembership())) counts[role]++;
  expect(counts).toEqual({ trained: 10, negative: 30, decoy: 160 });
});

test('the words: null, five assumptions, whose dice, what it does not say', () => {
  const opened = openedAnswers();
  const verdict = decide(opened, learnt(opened));
  expect(verdict.null_hypothesis).toMatch(/independent of which candidate answer was drawn/);
  for (const a of ['A1', 'A2', 'A3', 'A4', 'A5'])
    expect(verdict.assumptions.filter((words) => words.startsWith(`${a}:`))).toHaveLength(1);
  expect(verdict.draw).toMatch(
    /valid only for suspects made after a time-proved commitment.*time_proof: none/,
  );
  expect(verdict.does_not_say.join()).toMatch(/stolen.*is ours.*not derived/s);
  const text = JSON.stringify(verdict);
  for (const { key, target } of keyRoles(opened)) {
    expect(text).not.toContain(`"${key.text}`);
    expect(text).not.toContain(`${target}"`);
  }
});

test('another wrapper than the committed one is said', () => {
  const opened = openedAnswers();
  const { assumptions } = decide(opened, learnt(opened), { asked: { wrapper: 'chat', system: 'secretive' } });
  expect(assumptions.at(-1)).toMatch(/put under "chat" with a system prompt, the plan names "bare"/);
});

test('hand-picked keys give counts, no p', () => {
  const plan = membershipPlan();
  const picked = {
    kind: 'drawn-membership' as const,
    trained: [...Array(10).keys()],
    negatives: [...Array(30).keys()].map((i) => i + 10),
  };
  const { claim } = commitClaim(plan, committing({ draw: { source: 'hand-picked', picked } }));
  const opened: Opened = { kind: 'drawn-membership', claim, plan, bindings, draw: pickedDraw(claim, picked) };
  const verdict = decide(opened, learnt(opened));
  expect(verdict).toMatchObject({
    verdict: 'not-verified',
    p_value: null,
    log10_p: null,
    exact: false,
    fsr: 1,
    log10_p_after_grinding: null,
  });
  expect(verdict.reason).toMatch(/not drawn/);
});

test('an adapter trained after the draw gives counts, no p; a committed one is exact', () => {
  const withPart = (private_part: Bindings['private_part']) => {
    const opened = openedMembership({ bindings: { ...bindings, private_part } });
    return decide(opened, learnt(opened));
  };
  expect(withPart({ state: 'after-draw' })).toMatchObject({
    verdict: 'not-verified',
    p_value: null,
    exact: false,
  });
  expect(withPart({ state: 'committed', digest: 'c'.repeat(64) })).toMatchObject({
    verdict: 'verified',
    exact: true,
  });
});

test('a beacon draw says that its value is not checked, and asks for no grinding margin', () => {
  const opened = openedAnswers({ draw: { source: 'beacon', chain: 'a'.repeat(64), round: 5 } });
  const verdict = decide(opened, learnt(opened));
  expect(verdict.draw).toMatch(/not checked here/);
  expect(verdict.log10_p_after_grinding).toBeNull();
});

test('looks are paid for', () => {
  const opened = openedMembership();
  const answers = learnt(opened, 5);
  const once = decide(opened, answers);
  const many = decide(opened, answers, { multiplicity: 11 });
  expect(many.p_value).toBeCloseTo(once.p_value! * 11, 12);
  expect([once.verdict, many.verdict]).toEqual(['verified', 'not-verified']);
});

test.each<[string, (opened: Opened) => [string[], DecideOptions], RegExp]>([
  ['a missing answer', (o) => [learnt(o).slice(1), {}], /199 answers for 200 keys/],
  [
    'another adapter',
    (o) => [learnt(o), { ownerParts: { adapter: 'd'.repeat(64) } }],
    /adapter that answered is not/,
  ],
  [
    'another body',
    (o) => [learnt(o), { ownerParts: { body: 'd'.repeat(64) } }],
    /vanilla body that answered is not/,
  ],
  ['multiplicity 0', (o) => [learnt(o), { multiplicity: 0 }], /not a count/],
  ['alpha 1', (o) => [learnt(o), { alpha: 1 }], /alpha 1/],
])('%s is refused', (_, make, message) => {
  const private_part = { state: 'committed', digest: 'c'.repeat(64) } as const;
  const opened = openedMembership({ bindings: { ...bindings, private_part } });
  const [answers, options] = make(opened);
  expect(() => decide(opened, answers, options)).toThrow(message);
});
