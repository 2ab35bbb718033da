// Two claims, two models: who was first. The rule over every table of findings, and whole calls with models behind servers that
// answer as one that learnt its part, with time stamps by an authority of our own.

import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { claimText } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { CLAIM_KINDS } from '../../src/claim/kinds.ts';
import { writeSecret } from '../../src/claim/secret-file.ts';
import { rival } from '../../src/verify/rival.ts';
import {
  type Finding,
  findingOf,
  other,
  rivalWord,
  SIDES,
  type SideName,
} from '../../src/verify/rival-word.ts';
import type { Verdict } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';
import { finished } from '../cli/finished-run.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';
import { answering, type Server, serve } from '../lm/openai-server.ts';
import { hasOpenssl, stampedAt } from '../proof/authority.ts';
import { golden } from '../proof/tokens.ts';

const [EARLY, LATE] = [Date.parse('2026-09-01'), Date.parse('2026-10-01')];
const FINDINGS: readonly Finding[] = ['there', 'absent', 'unknown'];
const tables = FINDINGS.flatMap((aa) =>
  FINDINGS.flatMap((ab) => FINDINGS.flatMap((ba) => FINDINGS.map((bb) => [aa, ab, ba, bb] as const))),
);

describe('the rule', () => {
  const word = ([aa, ab, ba, bb]: (typeof tables)[number], a: number | null, b: number | null, one = false) =>
    rivalWord({ a: { proved: a, marks: { a: aa, b: ab } }, b: { proved: b, marks: { a: ba, b: bb } } }, one);

  test('of 81 tables two of each side decide, and only with a proved time that is not after the other', () => {
    for (const findings of tables) {
      const [aa, ab, ba, bb] = findings;
      const forA = aa === 'there' && ab === 'there' && ba === 'absent';
      const forB = ba === 'there' && bb === 'there' && ab === 'absent';
      const wanted = forA ? 'a' : forB ? 'b' : 'undecided';
      const early: Record<string, [number | null, number | null]> = { a: [EARLY, LATE], b: [LATE, EARLY] };
      for (const side of ['a', 'b']) {
        const [a, b] = early[side]!;
        expect(word(findings, a, b).first).toBe(wanted === side ? side : 'undecided');
      }
      expect(word(findings, null, null).first).toBe('undecided');
      expect(word(findings, EARLY, EARLY).first).toBe('undecided');
      expect(word(findings, EARLY, EARLY + 59_000).first).toBe('undecided'); // clocks need not agree to the second
      expect(word(findings, EARLY, null).first).toBe(wanted === 'a' ? 'a' : 'undecided');
      expect(word(findings, null, EARLY).first).toBe(wanted === 'b' ? 'b' : 'undecided');
      expect(word(findings, EARLY, LATE, true)).toMatchObject({
        first: 'undecided',
        reason: expect.stringMatching(/one model/),
      });
    }
    expect(tables.filter((t) => word(t, EARLY, LATE).first === 'a')).toHaveLength(3);
  });

  test('which name stands first changes nothing', () => {
    const swap = (first: string) => (first === 'undecided' ? first : other(first as SideName));
    for (const findings of tables)
      for (const [a, b] of [
        [EARLY, LATE],
        [LATE, EARLY],
        [null, LATE],
      ] as const) {
        const [aa, ab, ba, bb] = findings;
        expect(word([bb, ba, ab, aa], b, a).first).toBe(swap(word(findings, a, b).first));
      }
  });

  test('each undecided says what is missing', () => {
    const why = (findings: (typeof tables)[number], a: number | null = EARLY, b: number | null = LATE) =>
      word(findings, a, b).reason;
    expect(why(['absent', 'absent', 'absent', 'absent'])).toMatch(/Neither claim is in either model/);
    expect(why(['there', 'absent', 'absent', 'there'])).toMatch(
      /No mark is in both.*claim A in model A.*claim B in model B/,
    );
    expect(why(['there', 'there', 'there', 'there'])).toMatch(/Each mark is in both models/);
    expect(why(['there', 'there', 'unknown', 'there'])).toMatch(
      /whether model A lacks the other mark is not decided/,
    );
    expect(why(['there', 'unknown', 'absent', 'there'])).toMatch(/not decided: claim A in model B/);
    expect(why(['there', 'there', 'absent', 'there'], null)).toMatch(/its owner's word/);
    expect(why(['there', 'there', 'absent', 'there'], LATE, EARLY)).toMatch(/not before claim B/);
  });
});

test('a finding: only what is proof to others is there, only an exact p near 1 is absent', () => {
  const of = (change: Partial<Verdict>): Finding =>
    findingOf({
      ...{ verdict: 'verified', log10_p: -50, log10_p_after_grinding: -26, alpha: 1e-6 },
      ...change,
    } as Verdict);
  expect(of({})).toBe('there');
  expect(of({ log10_p_after_grinding: -6.1 })).toBe('unknown'); // two models are two looks
  expect(of({ log10_p_after_grinding: -6.31 })).toBe('there');
  expect(of({ verdict: 'matches' })).toBe('unknown');
  expect(of({ verdict: 'undecided', log10_p: 0 })).toBe('unknown');
  expect(of({ verdict: 'not-verified', log10_p: null, log10_p_after_grinding: null })).toBe('unknown');
  expect(of({ verdict: 'not-verified', log10_p: -5 })).toBe('unknown');
  expect(of({ verdict: 'not-verified', log10_p: -0.3 })).toBe('absent');
});

let folder: string;
let tsaRoot: string;
const servers: Server[] = [];
interface Claimant {
  readonly secret: string;
  readonly says: (text: string) => string | undefined;
}

/** A claim with its secret, and what a model says that learnt its part. */
async function claimant(name: string, stamped: string | null, version: 1 | 2 = 2): Promise<Claimant> {
  const run = join(folder, name);
  mkdirSync(join(run, 'proofs'), { recursive: true });
  const plan = answersPlan();
  plan.keys = plan.keys.map(({ tokens }, i) => ({ text: `${name} ${i} key`, tokens }));
  const old = { ...plan, query: { order: 'committed', repeats: 1, wrapper: 'bare' } as const };
  const { matcher_text: _, most_looks: __, ...old1 } = old;
  const committed = version === 1 ? old1 : plan;
  const created = new Date('2026-08-31');
  const { claim, opening } = commitClaim(committed, committing({ created, version }));
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const parts = { randomness: null, adapter: null, rows: null, published: null };
  const { software } = claim;
  await writeSecret(
    join(run, 'secret.whorl'),
    new Secret({
      ...{ method: 'rows', created: claim.created, software, claim, plan: committed, bindings },
      ...{ opening: opening.reveal(), draw, ...parts },
    }),
  );
  writeFileSync(join(run, 'claim.json'), claimText(claim));
  if (stamped !== null) writeFileSync(join(run, 'proofs', 'one.tsr'), stampedAt(folder, claim.root, stamped));
  const targets = CLAIM_KINDS['drawn-answers'].roles(committed, draw).map(({ target }) => target);
  return {
    secret: join(run, 'secret.whorl'),
    says: (text) => targets[plan.keys.findIndex((key) => text.includes(key.text))],
  };
}

/** A model that learnt the parts of these claimants. */
async function model(...learnt: readonly Claimant[]): Promise<string> {
  const server = await serve(
    answering((text) => learnt.map(({ says }) => says(text)).find((said) => said !== undefined) ?? 'hm'),
  );
  servers.push(server);
  return server.url;
}
const endpoint = { model_name: 'm' };

beforeAll(() => {
  folder = scratch();
  tsaRoot = join(folder, 'root.pem');
  writeFileSync(tsaRoot, golden.certificates.root);
});
afterAll(async () => {
  for (const server of servers) await server.close();
  rmSync(folder, { recursive: true });
});

describe.skipIf(!hasOpenssl)('two claims and two models', () => {
  let owner: Claimant;
  let thief: Claimant;
  beforeAll(async () => {
    owner = await claimant('owner', '2026-09-01T00:00:00Z');
    thief = await claimant('thief', '2026-10-01T00:00:00Z');
  });
  const sides = (a: Claimant, modelA: string, b: Claimant, modelB: string) => ({
    a: { secret: a.secret, model: modelA, endpoint },
    b: { secret: b.secret, model: modelB, endpoint },
  });

  test('a model marked again: the owner was first, whichever side he stands on, for one who trusts the authority', async () => {
    const [his, again] = [await model(owner), await model(owner, thief)];
    const given = sides(owner, his, thief, again);
    const report = await rival({ ...given, tsaRoot });
    expect(report).toMatchObject({
      first: 'a',
      a: { proved: '2026-09-01T00:00:00.000Z', marks: { a: { finding: 'there' }, b: { finding: 'there' } } },
      b: { proved: '2026-10-01T00:00:00.000Z', marks: { a: { finding: 'absent' }, b: { finding: 'there' } } },
    });
    expect(report.reason).toMatch(/So claim A was first/);
    expect((await rival({ a: given.b, b: given.a, tsaRoot })).first).toBe('b');
    expect(await rival(given)).toMatchObject({ first: 'undecided', a: { proved: null } });
  });

  test('a thief with the earlier stamp: undecided', async () => {
    const early = await claimant('early', '2026-08-31T12:00:00Z');
    const report = await rival({
      ...sides(owner, await model(owner), early, await model(owner, early)),
      tsaRoot,
    });
    expect(report.first).toBe('undecided');
    expect(report.reason).toMatch(/not before claim B/);
  });

  test('marks taken off, both on both, neither in either: undecided', async () => {
    const clean = await model(thief);
    const both = await model(owner, thief);
    const none = await model();
    const first = async (a: string, b: string) =>
      (await rival({ ...sides(owner, a, thief, b), tsaRoot })).first;
    expect(await first(await model(owner), clean)).toBe('undecided');
    expect(await first(both, await model(thief, owner))).toBe('undecided');
    expect(await first(none, await model())).toBe('undecided');
  });

  test('an older claim of format 1 counts as one of format 2 does; without any time proof nobody was first', async () => {
    const older = await claimant('older', '2026-09-01T00:00:00Z', 1);
    const [his, again] = [await model(older), await model(older, thief)];
    expect(await rival({ ...sides(older, his, thief, again), tsaRoot })).toMatchObject({
      first: 'a',
      a: { version: 1 },
      b: { version: 2 },
    });
    const silent = await claimant('silent', null);
    const timeless = await rival({
      ...sides(silent, await model(silent), thief, await model(silent, thief)),
      tsaRoot,
    });
    expect(timeless).toMatchObject({ first: 'undecided', a: { proved: null } });
    const other = await claimant('other', null);
    expect(
      await rival({ ...sides(silent, await model(silent), other, await model(silent, other)), tsaRoot }),
    ).toMatchObject({ first: 'undecided', reason: expect.stringMatching(/owner's word/) });
  });

  test('one claim twice, one model twice, a claim or a stamp of another run', async () => {
    const his = await model(owner);
    await expect(rival({ ...sides(owner, his, owner, await model(owner)), tsaRoot })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/one claim/),
    });
    const both = await model(owner, thief);
    expect(await rival({ ...sides(owner, both, thief, both), tsaRoot })).toMatchObject({
      first: 'undecided',
      reason: expect.stringMatching(/one model/),
    });
    const swapped = {
      secret: thief.secret,
      model: his,
      endpoint,
      claim: join(folder, 'owner', 'claim.json'),
    };
    await expect(rival({ a: swapped, b: { ...swapped, secret: owner.secret } })).rejects.toMatchObject({
      code: 'mismatch',
    });
    cpSync(join(folder, 'thief'), join(folder, 'forged'), { recursive: true });
    cpSync(join(folder, 'owner/proofs/one.tsr'), join(folder, 'forged/proofs/one.tsr'));
    const forged = { secret: join(folder, 'forged/secret.whorl'), model: his, endpoint };
    await expect(
      rival({ a: { ...forged }, b: { secret: owner.secret, model: his, endpoint }, tsaRoot }),
    ).rejects.toMatchObject({ code: 'mismatch' });
  });

  test('for people: the words, the table, the exit codes; a line of JSON', async () => {
    const [his, again] = [await model(owner), await model(owner, thief)];
    const flags = [
      ...['--secret-a', owner.secret, '--model-a', his, '--model-name-a', 'm'],
      ...['--secret-b', thief.secret, '--model-b', again, '--model-name-b', 'm'],
    ];
    const decided = await whorl('rival', ...flags, '--tsa-root', tsaRoot);
    expect(decided.code).toBe(0);
    expect(decided.out).toMatch(/^CLAIM A WAS FIRST/);
    expect(decided.out).toMatch(/claim A +verified, p ≤ .*verified, p ≤ .*2026-09-01/);
    expect(decided.out).toContain('does not say');
    const undecided = await whorl('rival', ...flags, '--json');
    expect(undecided.code).toBe(5);
    expect(JSON.parse(undecided.out)).toMatchObject({ first: 'undecided' });
    expect((await whorl('rival', '--secret-a', owner.secret)).code).toBe(2);
  });
});

test('weights here: a claim that does not fit the other model is not decided, one that does not fit its own is an error', async () => {
  const vanilla = tinyModel(folder);
  const [a, b] = [
    await finished(join(folder, 'a'), vanilla, bindings),
    await finished(join(folder, 'b'), vanilla, bindings),
  ];
  const report = await rival({
    a: { secret: a.secret, model: a.published },
    b: { secret: b.secret, model: vanilla },
  });
  expect(report.first).toBe('undecided');
  expect(report.a.weights).toMatch(/^[0-9a-f]{64}$/);
  expect(report.a.weights).not.toBe(report.b.weights);
  for (const side of SIDES) expect(report[side].marks.a.verdict).not.toBe('verified');
  expect(
    await rival({ a: { secret: a.secret, model: vanilla }, b: { secret: b.secret, model: vanilla } }),
  ).toMatchObject({ first: 'undecided', reason: expect.stringMatching(/one model/) });
});
