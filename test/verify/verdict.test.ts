import { expect, test } from 'vitest';
import { defaultsOf } from '../../src/base/setting.ts';
import { type CommitOptions, commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw, pickedDraw } from '../../src/claim/draw.ts';
import { keyRoles, type Opened, type OpenedOf } from '../../src/claim/open.ts';
import type { Bindings } from '../../src/claim/plan.ts';
import { SEED_KDF } from '../../src/claim/seed-kdf.ts';
import { headline, inTable, VERDICT_WORDS } from '../../src/cli/verdict-words.ts';
import { METHODS } from '../../src/fingerprint/registry.ts';
import { WRAPPERS } from '../../src/text/prompts/wrappers.ts';
import { poissonBinomialTail } from '../../src/verify/exact/t3.ts';
import { hypergeometricTail } from '../../src/verify/exact/t4.ts';
import { type DecideOptions, decide } from '../../src/verify/verdict.ts';
import type { Word } from '../../src/verify/word.ts';
import { answersPlan, bindings, committing, membershipPlan } from '../claim/plans.ts';

/** The tokens of all 400 keys of membershipPlan. */
const POOL_ROWS = Array.from({ length: 401 }, (_, i) => i);
const VANILLA = { weights: 'a'.repeat(64), tokenizer: 'e'.repeat(64), config: 'f'.repeat(64) };

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
  plan = membershipPlan(),
): OpenedOf<'drawn-membership'> {
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

test('T4: of 20 in 400 one may be lost, y shouted is nothing', () => {
  const opened = openedMembership();
  const most = decide(opened, learnt(opened, 1));
  expect(most).toMatchObject({ verdict: 'verified', fsr: 0.95 });
  expect(most.cells).toEqual({ drawn: { hits: 19, of: 20 }, undrawn: { hits: 0, of: 380 } });
  expect(most.log10_p_after_grinding).toBeCloseTo(-6.78, 2);
  const two = decide(opened, learnt(opened, 2));
  expect(two.verdict).toBe('matches');
  expect(two.reason).toMatch(/below alpha 0.000001; but after 2\^80 draws .*the owner's word, and no proof/);
  const shout = decide(opened, new Array<string>(400).fill('ハリネズミ'));
  expect(shout).toMatchObject({ verdict: 'not-verified', p_value: 1, fsr: 1 });
});

test('T4: a draw that 2^80 tries could have found is never verified, all keys answered', () => {
  const opened = openedMembership({}, membershipPlan(200, 10));
  const all = decide(opened, learnt(opened));
  expect(all).toMatchObject({ verdict: 'matches', fsr: 1, exact: true, log10_p_after_grinding: 0 });
  expect(all.log10_p).toBeCloseTo(-16.35, 2);
});

test('T4: roles of the keys are 20 trained, 30 negative, 350 decoys', () => {
  const counts = { trained: 0, negative: 0, decoy: 0 };
  for (const { role } of keyRoles(openedMembership())) counts[role]++;
  expect(counts).toEqual({ trained: 20, negative: 30, decoy: 350 });
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

test('another wrapper than the committed one stays exact and is paid for, once for each built-in one', () => {
  const opened = openedAnswers();
  const own = decide(opened, learnt(opened));
  const other = decide(opened, learnt(opened), { asked: { wrapper: 'chat', system: null } });
  expect(other).toMatchObject({ verdict: 'verified', exact: true, multiplicity: WRAPPERS.size });
  expect(other.log10_p! - own.log10_p!).toBeCloseTo(Math.log10(WRAPPERS.size), 10);
  expect(other.assumptions.at(-1)).toMatch(/put under "chat", the plan names "bare"/);
});

test.each<[string, DecideOptions, RegExp]>([
  ['a system text', { asked: { wrapper: 'bare', system: 'secretive' } }, /system text/],
  ['an empty system text', { asked: { wrapper: 'bare', system: '' } }, /system text/],
  ['another alpha, larger', { alpha: 0.05 }, /level 0.05 is not the committed one/],
  ['another alpha, smaller', { alpha: 1e-9 }, /is not the committed one/],
  ['a doubt of the caller', { doubts: ['Something was seen.'] }, /^Something was seen\. Counts only\.$/],
])('%s: counts only, the hits still told', (_, options, reason) => {
  const opened = openedAnswers();
  const verdict = decide(opened, learnt(opened), options);
  expect(verdict).toMatchObject({
    verdict: 'not-verified',
    exact: false,
    p_value: null,
    log10_p: null,
    log10_p_after_grinding: null,
    fsr: 1,
  });
  expect(verdict.cells['drawn answer']).toEqual({ hits: 32, of: 32 });
  expect(verdict.reason).toMatch(reason);
});

test('the committed alpha given again changes nothing', () => {
  const opened = openedAnswers();
  expect(decide(opened, learnt(opened), { alpha: 1e-6 })).toEqual(decide(opened, learnt(opened)));
});

test('a text seed that was stretched has a p-value, and the cost of a guess stands beside it', () => {
  const opened = openedAnswers({ draw: { source: 'owner-seed', from_text: SEED_KDF } });
  const verdict = decide(opened, learnt(opened));
  expect(verdict).toMatchObject({ verdict: 'verified', exact: true });
  expect(verdict.assumptions.at(-1)).toMatch(/nobody guessed.*scrypt with N = 131072, r = 8, p = 1/);
});

test('hand-picked keys give counts, no p', () => {
  const plan = membershipPlan();
  const picked = {
    kind: 'drawn-membership' as const,
    trained: [...Array(20).keys()],
    negatives: [...Array(30).keys()].map((i) => i + 20),
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

test('an adapter trained after the draw gives counts, no p; a committed one over the whole pool is exact', () => {
  const withPart = (
    private_part: Bindings['private_part'],
    trainable_rows = POOL_ROWS,
    version: 1 | 2 = 2,
  ) => {
    const opened = openedMembership({ bindings: { ...bindings, private_part, trainable_rows }, version });
    return decide(opened, learnt(opened));
  };
  const committed = { state: 'committed', digest: 'c'.repeat(64) } as const;
  for (const rows of [[7], POOL_ROWS.slice(1), [...POOL_ROWS, 999], []])
    expect(withPart(committed, rows, 1)).toMatchObject({
      verdict: 'not-verified',
      exact: false,
      p_value: null,
    });
  for (const rows of [[7], POOL_ROWS.slice(1), [...POOL_ROWS, 999]])
    expect(() => withPart(committed, rows)).toThrow(/not the tokens of the whole pool/);
  expect(withPart({ state: 'after-draw' })).toMatchObject({
    verdict: 'not-verified',
    p_value: null,
    exact: false,
  });
  expect(withPart(committed)).toMatchObject({
    verdict: 'verified',
    exact: true,
  });
});

test('a beacon value that nobody checked may be a counter: counts only', () => {
  const opened = openedAnswers({ draw: { source: 'beacon', chain: 'a'.repeat(64), round: 5 } });
  const verdict = decide(opened, learnt(opened));
  expect(verdict.draw).toMatch(/not checked here/);
  expect(verdict).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null, fsr: 1 });
  expect(verdict.reason).toMatch(/was not checked/);
});

test('looks are paid for', () => {
  const opened = openedMembership();
  const answers = learnt(opened, 1);
  const once = decide(opened, answers);
  const many = decide(opened, answers, { multiplicity: 11 });
  expect(many.p_value! / once.p_value!).toBeCloseTo(11, 9);
  expect([once.verdict, many.verdict]).toEqual(['verified', 'matches']);
});

test.each<[string, (opened: Opened) => [string[], DecideOptions], RegExp]>([
  ['a missing answer', (o) => [learnt(o).slice(1), {}], /399 answers for 400 keys/],
  [
    'another adapter',
    (o) => [learnt(o), { ownerParts: { adapter: 'd'.repeat(64) } }],
    /adapter that answers is not/,
  ],
  [
    'a body of other weights',
    (o) => [learnt(o), { ownerParts: { body: { ...VANILLA, weights: 'd'.repeat(64) } } }],
    /body's weights .* that answers is not/,
  ],
  [
    'a body with another tokenizer',
    (o) => [learnt(o), { ownerParts: { body: { ...VANILLA, tokenizer: 'd'.repeat(64) } } }],
    /body's tokenizer that answers is not/,
  ],
  [
    'a body with another config',
    (o) => [learnt(o), { ownerParts: { body: { ...VANILLA, config: 'd'.repeat(64) } } }],
    /body's config that answers is not/,
  ],
  ['multiplicity 0', (o) => [learnt(o), { multiplicity: 0 }], /not a count/],
  ['alpha 1', (o) => [learnt(o), { alpha: 1 }], /alpha 1/],
])('%s is refused', (_, make, message) => {
  const private_part = { state: 'committed', digest: 'c'.repeat(64) } as const;
  const opened = openedMembership({
    bindings: {
      private_part,
      trainable_rows: POOL_ROWS,
      vanilla: { ...bindings.vanilla, ...VANILLA, body: 'b'.repeat(64) },
    },
  });
  const [answers, options] = make(opened);
  expect(() => decide(opened, answers, options)).toThrow(message);
});

test('the whole committed vanilla model as a body is exact; with a claim that binds no tokenizer it is not', () => {
  const private_part = { state: 'committed', digest: 'c'.repeat(64) } as const;
  const on = (vanilla: Bindings['vanilla']) => {
    const bound = { private_part, trainable_rows: POOL_ROWS, vanilla };
    const opened = openedMembership({ bindings: bound, version: 1 });
    return decide(opened, learnt(opened), { ownerParts: { adapter: 'c'.repeat(64), body: VANILLA } });
  };
  // Whoever could have asked the suspect's own body as well pays for both.
  expect(on({ ...VANILLA, body: 'b'.repeat(64) })).toMatchObject({
    ...{ verdict: 'verified', exact: true, multiplicity: 2 },
  });
  const older = on({ weights: VANILLA.weights, body: 'b'.repeat(64) });
  expect(older).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null });
  expect(older.reason).toMatch(/binds neither tokenizer nor config/);
});

test("each method's defaults can be verified with the owner's own dice, one key lost", () => {
  for (const method of Object.values(METHODS)) {
    if (method.kind === 'stamp') continue; // no keys
    const { trained, pool, candidates, alpha } = defaultsOf(method.schema) as Record<string, number>;
    const p =
      pool === undefined
        ? poissonBinomialTail(new Array<number>(trained!).fill(1), candidates!, trained! - 1)
        : hypergeometricTail(pool, trained!, trained! - 1, trained! - 1);
    // By the keys alone or with the stamp beside them; of an adapter, on either body.
    const ways = method.name === 'adapter' ? 4 : 2;
    expect(p.log10_p + Math.log10(ways) + 80 * Math.log10(2), method.name).toBeLessThan(Math.log10(alpha!));
  }
});

test('keys that could not have reached the level decide nothing: undecided, not a denial', () => {
  const opened = openedAnswers();
  const silent = new Array<string>(32).fill('hm');
  const lost = (count: number) => Array.from({ length: count }, (_, i) => i);
  const word = (changed: number[]) => decide(opened, silent, { changed }).verdict;
  expect([0, 29, 30, 32].map((count) => word(lost(count)))).toEqual([
    'not-verified',
    'not-verified',
    'undecided',
    'undecided',
  ]);
  const small = openedMembership({}, membershipPlan(20, 3, 2));
  expect(decide(small, new Array<string>(20).fill('hm'))).toMatchObject({
    verdict: 'undecided',
    exact: true,
    p_value: 1,
  });
});

test('one word for each verdict, headline, table and exit code alike', () => {
  const codes = Object.fromEntries(
    Object.entries(VERDICT_WORDS).map(([word, { exitCode }]) => [word, exitCode]),
  );
  expect(codes).toEqual({ verified: 0, 'not-verified': 3, matches: 4, undecided: 5 });
  for (const [word, { words }] of Object.entries(VERDICT_WORDS)) {
    expect(headline(word as Word)).toContain(words.toUpperCase());
    expect(inTable(word as Word)).toContain(words);
  }
});

test('a permitted system prompt is exact and paid for, with every other way of asking; another one is not', () => {
  const plan = answersPlan();
  const permitted = { ...plan, query: { ...plan.query, systems: ['Be brief.'] } };
  const { claim, opening } = commitClaim(permitted, committing());
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const opened: Opened = { kind: 'drawn-answers', claim, plan: permitted, bindings, draw };
  const under = (system: string) => decide(opened, learnt(opened), { asked: { wrapper: 'bare', system } });
  expect(under('Be brief.')).toMatchObject({
    verdict: 'verified',
    exact: true,
    multiplicity: 2 * WRAPPERS.size,
  });
  expect(under('Be verbose.')).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null });
});

test.each<[string, DecideOptions, RegExp]>([
  [
    'a wrapper that the claim does not hold',
    { asked: { wrapper: 'mine', system: null } },
    /does not commit to wrapper "mine"/,
  ],
  [
    'a wrapper with worked examples in its text',
    { asked: { wrapper: 'bare', system: null, around: ['key 1: word7\n', '\n'] } },
    /not those that the claim commits to for wrapper "bare"/,
  ],
  ['more looks than the claim pays for', { look: 2 }, /look 2 under a claim that pays for 1/],
])('%s: counts only', (_, options, reason) => {
  const opened = openedAnswers();
  const verdict = decide(opened, learnt(opened), options);
  expect(verdict).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null, fsr: 1 });
  expect(verdict.reason).toMatch(reason);
});

test('a part of the keys is a test of its own, paid for every part that could have been chosen', () => {
  const opened = openedMembership();
  const answers = learnt(opened);
  const trained = opened.draw.trained.filter((i) => i >= 100 && i < 400).length;
  const part = decide(opened, answers.slice(100), { range: { from: 100, to: 400 } });
  expect(part).toMatchObject({
    exact: true,
    keys: { from: 100, to: 400, of: 400 },
    multiplicity: (400 * 401) / 2,
  });
  expect(part.cells.drawn).toEqual({ hits: trained, of: trained });
  expect(part.log10_p).toBeCloseTo(
    hypergeometricTail(300, trained, trained, trained).log10_p + Math.log10((400 * 401) / 2),
    9,
  );
});

test('a checked round after a checked time stamp leaves more of p than the owner’s own dice, an unproved one does not', () => {
  const opened = openedAnswers({ draw: { source: 'beacon', chain: 'a'.repeat(64), round: 5 } });
  const left = (evidence: DecideOptions['evidence'] & object) => {
    const { log10_p, log10_p_after_grinding: left } = decide(opened, learnt(opened), { evidence });
    return left! - log10_p!;
  };
  expect(left({ beacon: true, proofBeforeRound: true })).toBeCloseTo(40 * Math.log10(2), 9);
  expect(left({ beacon: true, proofBeforeRound: false })).toBeCloseTo(80 * Math.log10(2), 9);
  expect(decide(opened, learnt(opened), { evidence: { beacon: false, proofBeforeRound: true } }).exact).toBe(
    false,
  );
});
