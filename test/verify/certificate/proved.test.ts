// Certificates of claims with public dice: what a round and a time stamp are worth to one who trusts the authority, what to
// one who does not, and every way to pass off less. The round is a real one, the stamps are OpenSSL's.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
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

/** Under which drand hashes to the curve. */
const DRAND = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';
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

/** The round's signature negated; and with a point of order 3 added, which no pairing sees: outside the group nothing is signed. */
const { Point } = bls12_381.G1;
const compressed = ({ x, y }: { x: bigint; y: bigint }): string =>
  (x | (1n << 383n) | (2n * y > Point.Fp.ORDER ? 1n << 381n : 0n)).toString(16).padStart(96, '0');
const signature = Point.fromHex(roundOf(ROUND).signature);
const MINUS = compressed(signature.negate().toAffine());
const PLUS = compressed(signature.add(Point.fromAffine({ x: 0n, y: 2n })).toAffine());

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

  /** What it draws, it draws: only the signature of the round is none. */
  const unsigned = [MINUS, PLUS].map(
    (signature) => made({ plan, committed, forged: { ...roundOf(ROUND), signature } }).text,
  );
  test('a round that nobody signed, and everything that follows from it', () => {
    for (const text of unsigned) expect(() => checkCertificate(text)).toThrow(/not one by drand/);
  });

  test.skipIf(!hasPython)(
    'Python checks the round and the time stamps, and says the same words',
    () => {
      const drawn = issue(undefined);
      const edited = (from: typeof right, edit: (predicate: Statement['predicate']) => void) =>
        improved(from.statement, KEYS.ed25519, ({ predicate }) => edit(predicate));
      const other = (p: Statement['predicate']) => void (p.beacon = roundOf(OTHER_ROUND));
      const bit = (p: Statement['predicate']): void => {
        p.beacon!.signature = p.beacon!.signature.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
      };
      const late = edited(right, (p) => void (p.proofs = []));
      const texts = [drawn.text, edited(drawn, other), edited(drawn, bit), ...unsigned];
      expect(pythonCodes([...texts, right.text, edited(right, other), late])).toEqual([
        4, 1, 1, 1, 1, 4, 1, 1,
      ]);
      // Each costs a pairing.
      const stamped = ['RSA, an authority between', 'after the round'].map((token) => issue(token).text);
      expect(pythonCodes(stamped, [tsaRoot])).toEqual([0, 4]);
      expect(pythonCodes([right.text], [otherRoot])).toEqual([4]);
      const attacks = ATTACKS.map(([, edit]) => improved(right.statement, KEYS.ed25519, edit));
      expect(pythonCodes(attacks, [tsaRoot])).toEqual(attacks.map(() => 1));
    },
    180_000,
  );

  test.skipIf(!hasPython)(
    'Python says what it did not check: time stamps and a round without what lies beside it',
    () => {
      const alone = join(scratch, 'check.py');
      copyFileSync(join(packageRoot(), 'examples/check.py'), alone);
      const said = (script: string, text: string, ...roots: string[]) => {
        const file = join(scratch, 'said.json');
        writeFileSync(file, text);
        const { status, stdout } = spawnSync('python3', [script, file, ...roots], { encoding: 'utf8' });
        return [status, stdout];
      };
      const whole = join(packageRoot(), 'examples/check.py');
      const drawn = issue(undefined).text;
      expect(said(whole, drawn)).toEqual([4, 'matches\n']);
      expect(said(alone, drawn)).toEqual([2, expect.stringMatching(/not checked.*beacon's round \(bls\.py/)]);
      expect(said(whole, right.text)).toEqual([4, 'matches\n']);
      expect(said(whole, right.text, tsaRoot)).toEqual([0, 'verified\n']);
      expect(said(alone, right.text)).toEqual([
        2,
        expect.stringMatching(/of its time stamps \(rfc3161\.py is not/),
      ]);
      expect(said(alone, right.text, tsaRoot)[0]).toBe(1);
      expect(said(alone, made().text)).toEqual([0, 'verified\n']);
    },
  );
});

describe.skipIf(!hasPython)('examples/bls.py', () => {
  const { shortSignatures: scheme } = bls12_381;
  const ASK = `import sys,json;sys.path.insert(0,sys.argv[1]);import bls
rounds,messages=json.load(sys.stdin)
point=lambda p:["%096x"%c for c in p]
print(json.dumps([[bls.signed(n,bytes.fromhex(s)) for n,s in rounds],[point(bls.hash_to_g1(m.encode(),d.encode())) for m,d in messages]]))`;
  const ask = (rounds: [number, string][], messages: [string, string][]) =>
    JSON.parse(
      execFileSync('python3', ['-c', ASK, join(packageRoot(), 'examples')], {
        ...{ input: JSON.stringify([rounds, messages]), encoding: 'utf8' },
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      }),
    ) as [boolean[], [string, string][]];

  test('real rounds and no others, as drand.ts', () => {
    const { signature } = roundOf(ROUND);
    const message = Buffer.alloc(8);
    message.writeBigUInt64BE(BigInt(ROUND));
    const hashed = scheme.hash(createHash('sha256').update(message).digest(), DRAND);
    const stranger = scheme.Signature.toHex(scheme.sign(hashed, scheme.keygen().secretKey));
    const rounds: [number, string, boolean][] = [
      [ROUND, signature, true],
      [OTHER_ROUND, signature, false],
      [ROUND, MINUS, false],
      [ROUND, PLUS, false],
      [ROUND, stranger, false],
      [ROUND, `c${'0'.repeat(95)}`, false],
      [ROUND, `8${'f'.repeat(95)}`, false],
      [ROUND, `0${signature.slice(1)}`, false], // not compressed
      [ROUND, '', false],
      [ROUND, `${signature}00`, false],
    ];
    const [ours] = ask(
      rounds.map(([number, hex]) => [number, hex]),
      [],
    );
    expect(ours).toEqual(rounds.map(([, , want]) => want));
  }, 60_000);

  test('hashes to the curve as RFC 9380 (J.9.1) and noble do', () => {
    const suite = 'QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_';
    const messages: [string, string][] = [
      ['', suite],
      ...Array.from({ length: 12 }, (_, i): [string, string] => ['ähnlich'.repeat(i * i), DRAND]),
    ];
    const [, points] = ask([], messages);
    expect(points[0]![0]).toBe(
      '052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1',
    );
    const hex = (x: bigint) => x.toString(16).padStart(96, '0');
    expect(points).toEqual(
      messages.map(([message, DST]) => {
        const { x, y } = bls12_381.G1.hashToCurve(Buffer.from(message), { DST }).toAffine();
        return [hex(x), hex(y)];
      }),
    );
  });
});
