// Time stamps: real ones and OpenSSL's verify, each wrong one is refused by one line that says what is wrong.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { timeStampRequest } from '../../src/proof/ask.ts';
import { anchorOf, readCertificates } from '../../src/proof/certificates.ts';
import { checkTimeStamp, type TimeStamp } from '../../src/proof/time-stamp.ts';
import { hasOpenssl } from './authority.ts';
import { stamped } from './claims.ts';
import { golden, tokenOf } from './tokens.ts';

const fixture = (name: string): Buffer => readFileSync(join(packageRoot(), 'test/fixtures/proofs', name));
const hello = (digest: string): string => createHash(digest).update('hello').digest('hex');
const { root, certificates, tokens } = golden;
const trusted = readCertificates(Buffer.from(certificates.root));

const saidOf = (response: Uint8Array, imprint = root): string => {
  let stamp: TimeStamp;
  try {
    stamp = checkTimeStamp(response, imprint, trusted);
  } catch (error) {
    expect(error).toBeInstanceOf(WhorlError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  return stamp.anchor === null ? 'not anchored' : 'anchored';
};

describe('real ones', () => {
  test('IdenTrust, up to its root', () => {
    const stamp = checkTimeStamp(
      fixture('identrust.tsr'),
      hello('sha512'),
      readCertificates(fixture('identrust-root.der')),
    );
    expect(stamp).toMatchObject({
      time: Date.parse('2025-03-11T08:52:08Z'),
      authority: 'C=US, O=IdenTrust, CN=TrustID Timestamp Authority',
      nonce: '75C3B3214AC39FBB',
    });
    expect(stamp.anchor).toBe(createHash('sha256').update(fixture('identrust-root.der')).digest('hex'));
  });

  test('Sigstore: accuracy counts; its certificate may come from the person who checks', () => {
    const chain = readCertificates(fixture('sigstage-chain.pem'));
    const stamp = checkTimeStamp(fixture('sigstage.tsr'), hello('sha256'), chain);
    expect([stamp.time, stamp.latest]).toEqual(
      ['2025-05-09T11:58:55Z', '2025-05-09T11:58:56Z'].map((text) => Date.parse(text)),
    );
    expect(checkTimeStamp(fixture('sigstage-bare.tsr'), hello('sha256'), chain).anchor).toBe(stamp.anchor);
    expect(checkTimeStamp(fixture('sigstage.tsr'), hello('sha256')).anchor).toBeNull();
    expect(() => checkTimeStamp(fixture('sigstage-bare.tsr'), hello('sha256'))).toThrow(/neither in it nor/);
    expect(() => checkTimeStamp(fixture('sigstage-edited.tsr'), hello('sha256'), chain)).toThrow(
      /its signature is wrong/,
    );
    expect(() => checkTimeStamp(fixture('sigstage.tsr'), hello('sha512'), chain)).toThrow(
      /it stamps 2cf24dba/,
    );
  });

  test('nobody trusted is nobody: IdenTrust under Sigstore’s root is not anchored', () => {
    const chain = readCertificates(fixture('sigstage-chain.pem'));
    expect(checkTimeStamp(fixture('identrust.tsr'), hello('sha512'), chain).anchor).toBeNull();
  });
});

describe('of our own authority, by OpenSSL', () => {
  test('they stamp the root of the claim that the tests commit to', () => {
    expect(stamped().claim.root, 'run goldens/time-stamps/make.py with this root').toBe(root);
  });

  test.each(Object.keys(tokens))('%s', (name) => {
    const { says, openssl } = tokens[name]!;
    const said = saidOf(tokenOf(name));
    if (says.endsWith('anchored')) expect(said).toBe(says);
    else expect(said).toContain(says);
    // What OpenSSL refuses is never anchored here; the other way round we may be stricter.
    if (!openssl) expect(said).not.toBe('anchored');
  });

  test('under another person’s root a right one is not anchored', () => {
    const other = readCertificates(Buffer.from(certificates['other root']));
    expect(checkTimeStamp(tokenOf('right'), root, other)).toMatchObject({ anchor: null });
    expect(checkTimeStamp(tokenOf('right'), root)).toMatchObject({ anchor: null });
  });

  test('a root says how many authorities may stand below it', () => {
    const short = readCertificates(Buffer.from(certificates['short root']));
    expect(checkTimeStamp(tokenOf('deeper than its root allows'), root, short)).toMatchObject({
      anchor: null,
    });
  });

  test('more than 64 KB is not even read', () => {
    expect(saidOf(new Uint8Array(65_537))).toContain('more than 65536 bytes');
  });

  test('no flipped bit gives another time or authority', () => {
    const right = tokenOf('right');
    const { time, latest, authority } = checkTimeStamp(right, root, trusted);
    for (let at = 0; at < right.length; at += 3) {
      const copy = Uint8Array.from(right);
      copy[at]! ^= 1 << ((at / 3) % 8);
      const said = saidOf(copy);
      if (said !== 'anchored') continue;
      // Bits that nobody signs: the status, the token's version, unsigned parts.
      expect(checkTimeStamp(copy, root, trusted)).toMatchObject({ time, latest, authority });
    }
  }, 60_000);
});

test('a request is the one that OpenSSL makes', () => {
  const made = Buffer.from(timeStampRequest(root)).toString('base64');
  expect(made).toBe(golden.query);
});

test.skipIf(!hasOpenssl)(
  'authorities that all certify each other: each pair is looked at once, not each way',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'whorl-circle-'));
    try {
      execFileSync('openssl', 'ecparam -name prime256v1 -genkey -noout -out key.pem'.split(' '), {
        cwd: folder,
      });
      const circle = Array.from({ length: 16 }, (_, i) => {
        const made = `req -x509 -new -key key.pem -subj /CN=circle -days 99 -set_serial ${i + 1}`;
        const [one] = readCertificates(execFileSync('openssl', made.split(' '), { cwd: folder }));
        return one!;
      });
      let verified = 0;
      const counted = circle.map((one) => ({
        ...one,
        x509: new Proxy(one.x509, {
          get(x509, name) {
            if (name === 'verify') verified++;
            const value: unknown = Reflect.get(x509, name, x509);
            return typeof value === 'function' ? (value.bind(x509) as unknown) : value;
          },
        }),
      }));
      const at = Date.now() + 1000;
      expect(anchorOf(counted[0]!, [], counted, at)).toBeUndefined();
      expect(verified).toBeGreaterThan(0);
      expect(verified).toBeLessThanOrEqual(2 * 16 * 16);
      expect(anchorOf(counted[0]!, [counted[9]!], counted, at)).toBe(counted[9]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
