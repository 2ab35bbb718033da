// Certificates of claims with public dice: what a round and a time stamp are worth to one who trusts the authority, what to
// one who does not, and every way to pass off less. The round is a real one, the stamps are OpenSSL's.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import { readCertificates } from '../../../src/proof/certificates.ts';
import { QUICKNET } from '../../../src/proof/drand.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import type { Statement } from '../../../src/verify/certificate/statement.ts';
import { answersPlan, seeded } from '../../claim/plans.ts';
import { whorl } from '../../cli/whorl.ts';
import { OTHER_ROUND, ROUND, roundOf, stamped } from '../../proof/claims.ts';
import { golden, tokenOf } from '../../proof/tokens.ts';
import { KEYS, made } from './made.ts';
import { flipped, improved, structural } from './mutants.ts';
import { hasPython, pythonCodes } from './python.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-proved-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const tsaRoot = join(scratch, 'root.pem');
writeFileSync(tsaRoot, golden.certificates.root);
const otherRoot = join(scratch, 'other.pem');
writeFileSync(otherRoot, golden.certificates['other root']);
const root = readCertificates(Buffer.from(golden.certificates.root));

const plan = answersPlan(8, 256) as ClaimPlan;
const committed = stamped(plan);
const issue = (token: string | undefined, trusted = root) =>
  made({
    plan,
    committed,
    beside: { beacon: roundOf(ROUND), proofs: token === undefined ? [] : [tokenOf(token)] },
    trusted,
  });
const right = issue('right');

describe('a round after a time stamp', () => {
  test('is verified by one who trusts the authority: 10^-19.3 survives 2^40 commitments, and not 2^80 draws', () => {
    const { verdict } = checkCertificate(right.text, { tsaRoot });
    expect(verdict).toMatchObject({ verdict: 'verified', exact: true });
    expect(verdict.log10_draws).toBeCloseTo(40 * Math.log10(2), 9);
    expect(verdict.time_proof).toMatch(/^2026-09-17T12:00:00\.000Z by CN=whorl test tsa/);
    expect(right.statement.predicate.result).toMatchObject({ word: 'verified', draws_log2: 40 });
  });

  test.each([
    ['nobody', {}],
    ['another authority', { tsaRoot: otherRoot }],
  ])('is the owner’s word to one who trusts %s: he may have an authority of his own', (_, options) => {
    const { verdict } = checkCertificate(right.text, options);
    expect(verdict).toMatchObject({ verdict: 'matches', exact: true });
    expect(verdict.log10_draws).toBeCloseTo(80 * Math.log10(2), 9);
    expect(verdict.time_proof).toContain('not anchored');
  });

  test('whorl check says the same words, with the exit codes', async () => {
    const file = join(scratch, 'c.json');
    writeFileSync(file, right.text);
    const trusting = await whorl('check', file, '--tsa-root', tsaRoot);
    expect([trusting.code, trusting.out.split('\n')[0]]).toEqual([0, expect.stringMatching(/^VERIFIED/)]);
    const alone = await whorl('check', file);
    expect([alone.code, alone.out.split('\n')[0]]).toEqual([4, expect.stringMatching(/^MATCHES/)]);
    expect(alone.out).toMatch(/not anchored/);
  });

  test.each([
    ['RSA, an authority between', 'verified'],
    ['a minute before the round', 'verified'],
    ['half a minute before the round', 'matches'],
    ['accurate to two hours', 'matches'],
    ['after the round', 'matches'],
    ['of today, by openssl ts', 'matches'],
    ['under another root', 'matches'],
  ])('stamped %s', (token, word) => {
    expect(checkCertificate(issue(token).text, { tsaRoot }).verdict.verdict).toBe(word);
  });

  test('without any stamp a real round is the owner’s word', () => {
    expect(checkCertificate(issue(undefined).text, { tsaRoot }).verdict.verdict).toBe('matches');
  });
});

/** Edits of an owner who signs what he likes. */
const ATTACKS: readonly [string, (copy: Statement) => void, RegExp][] = [
  ['no round', ({ predicate: p }) => void (p.beacon = null), /leaves out the round/],
  [
    'another real round',
    ({ predicate: p }) => void (p.beacon = roundOf(OTHER_ROUND)),
    /not the one that the claim commits to/,
  ],
  [
    'another round under the committed number',
    ({ predicate: p }) => void (p.beacon = { ...roundOf(OTHER_ROUND), round: ROUND }),
    /not one by drand/,
  ],
  [
    'a counter',
    ({ predicate: p }) =>
      void (p.beacon = { chain: QUICKNET.hash, round: ROUND, signature: '7'.padStart(96, '0') }),
    /not one by drand/,
  ],
  [
    'another chain',
    ({ predicate: p }) => void (p.beacon = { ...p.beacon!, chain: 'a'.repeat(64) }),
    /not the one that the claim commits to/,
  ],
  [
    'a stamp of another digest',
    ({ predicate: p }) => void (p.proofs = [base64('another digest')]),
    /it stamps/,
  ],
  [
    'a stamp with an edited time',
    ({ predicate: p }) => void (p.proofs = [base64('time edited')]),
    /what it signs is not its content/,
  ],
  [
    'a stamp with an edited signature',
    ({ predicate: p }) => void (p.proofs = [base64('last byte edited')]),
    /its signature is wrong/,
  ],
  [
    'a stamp by an expired certificate',
    ({ predicate: p }) => void (p.proofs = [base64('certificate expired')]),
    /was valid from/,
  ],
  [
    'a stamp by a certificate for mail',
    ({ predicate: p }) => void (p.proofs = [base64('two uses')]),
    /not for time stamps alone/,
  ],
  [
    'a stamp older than the claim',
    ({ predicate: p }) => void (p.proofs = [base64('older than the claim')]),
    /the claim says that it was made/,
  ],
  [
    'a stamp after the round',
    ({ predicate: p }) => void (p.proofs = [base64('after the round')]),
    /draws_log2 is 40, replayed 80/,
  ],
  [
    'no stamp, and its worth claimed',
    ({ predicate: p }) => void (p.proofs = []),
    /draws_log2 is 40, replayed 80/,
  ],
  [
    'one wrong stamp beside a right one',
    ({ predicate: p }) => void p.proofs.push(base64('another digest')),
    /it stamps/,
  ],
  [
    'a web page as a stamp',
    ({ predicate: p }) => void p.proofs.push(base64('a web page')),
    /no RFC 3161 response/,
  ],
];
function base64(token: string): string {
  return golden.tokens[token]!.response;
}

describe('what does not hold', () => {
  test.each(ATTACKS)('%s', (_, edit, says) => {
    const text = improved(right.statement, KEYS.ed25519, edit);
    expect(() => checkCertificate(text, { tsaRoot })).toThrow(says);
  });

  test('a round or its worth beside a claim that was drawn by its owner', () => {
    const { statement } = made();
    const round = improved(statement, KEYS.ed25519, (c) => void (c.predicate.beacon = roundOf(ROUND)));
    expect(() => checkCertificate(round, { tsaRoot })).toThrow(/not drawn from one/);
    const worth = improved(statement, KEYS.ed25519, (c) => void (c.predicate.result.draws_log2 = 40));
    expect(() => checkCertificate(worth, { tsaRoot })).toThrow(/draws_log2 is 40, replayed 80/);
  });

  test('a stamp of this claim beside another one', () => {
    const { statement } = made();
    const text = improved(statement, KEYS.ed25519, (c) => void c.predicate.proofs.push(base64('right')));
    expect(() => checkCertificate(text, { tsaRoot })).toThrow(/it stamps 062c738e/);
  });

  test('one-bit and structural mutants: none accepted', () => {
    const random = seeded(7);
    const structurally = Array.from({ length: 60 }, () => structural(right.statement, KEYS.ed25519, random));
    const texts = [
      ...Array.from({ length: 40 }, () => flipped(right.text, random)),
      ...structurally.map(({ text }) => text),
    ];
    const accepted = texts.filter((text) => {
      try {
        checkCertificate(text, { tsaRoot });
        return true;
      } catch (error) {
        if ((error as Error).name !== 'WhorlError') throw error;
        return false;
      }
    });
    expect(accepted).toEqual([]);
  }, 60_000);

  test.skipIf(!hasPython)(
    'Python replays all but the signatures of round and stamp, and gives no word',
    () => {
      const worse = improved(right.statement, KEYS.ed25519, ({ predicate: p }) => {
        p.beacon = roundOf(OTHER_ROUND);
      });
      const better = improved(right.statement, KEYS.ed25519, ({ predicate: p }) => {
        p.beacon!.signature = p.beacon!.signature.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
      });
      const late = improved(right.statement, KEYS.ed25519, ({ predicate: p }) => {
        p.proofs = [];
      });
      expect(pythonCodes([right.text, worse, better, late])).toEqual([2, 1, 1, 1]);
    },
  );
});
