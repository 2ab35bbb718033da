// examples/rfc3161.py, which reads time stamps by their specifications alone: says of each token what OpenSSL and we say, of real
// ones too, and of changed ones no other time.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { readCertificates } from '../../src/proof/certificates.ts';
import { checkTimeStamp } from '../../src/proof/time-stamp.ts';
import { hasPython } from '../verify/certificate/python.ts';
import { golden, tokenOf } from './tokens.ts';

const SCRIPT = `import sys,json,base64;sys.path.insert(0,sys.argv[1]);import rfc3161
def say(response,imprint,roots):
    try: return list(rfc3161.stamp(base64.b64decode(response),imprint,rfc3161.certificates(base64.b64decode(roots)) if roots else ()))
    except rfc3161.FAULTS as fault: return str(fault)
print(json.dumps([say(*one) for one in json.load(sys.stdin)]))`;

type Said = string | [time: number, latest: number, anchored: boolean];
type Asked = readonly [response: Uint8Array, imprint: string, roots: Buffer | null];
const base64 = (bytes: Uint8Array | null): string =>
  bytes === null ? '' : Buffer.from(bytes).toString('base64');

const python = (asked: readonly Asked[]): Said[] =>
  JSON.parse(
    execFileSync('python3', ['-c', SCRIPT, join(packageRoot(), 'examples')], {
      input: JSON.stringify(
        asked.map(([response, imprint, roots]) => [base64(response), imprint, base64(roots)]),
      ),
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    }),
  ) as Said[];

/** The same by our own checker; null where it refuses. */
function ours([response, imprint, roots]: Asked): Said | null {
  try {
    const stamp = checkTimeStamp(response, imprint, roots === null ? [] : readCertificates(roots));
    return [stamp.time, stamp.latest, stamp.anchor !== null];
  } catch (error) {
    if ((error as Error).name !== 'WhorlError') throw error;
    return null;
  }
}

/** Every so many bytes one bit is turned. */
const STEP = 13;
const roots = Buffer.from(golden.certificates.root);
const of = (name: string): Asked => [tokenOf(name), golden.root, roots];

describe.skipIf(!hasPython)('examples/rfc3161.py', () => {
  test('each token of OpenSSL’s: what it must be, and the times that we read', () => {
    const names = Object.keys(golden.tokens);
    const said = python(names.map(of));
    for (const [i, name] of names.entries()) {
      const { says, openssl } = golden.tokens[name]!;
      const now = said[i]!;
      if (says.endsWith('anchored')) expect(now, name).toEqual(ours(of(name)));
      else expect(typeof now, name).toBe('string');
      if (typeof now !== 'string') expect(now[2], name).toBe(says === 'anchored');
      if (!openssl) expect(typeof now === 'string' || !now[2], name).toBe(true);
    }
  });

  test('real ones, under their own roots and under others', () => {
    const fixture = (name: string) => readFileSync(join(packageRoot(), 'test/fixtures/proofs', name));
    const hello = (digest: string) => createHash(digest).update('hello').digest('hex');
    const chain = fixture('sigstage-chain.pem');
    const asked: Asked[] = [
      [fixture('identrust.tsr'), hello('sha512'), fixture('identrust-root.der')],
      [fixture('identrust.tsr'), hello('sha512'), chain],
      [fixture('sigstage.tsr'), hello('sha256'), chain],
      [fixture('sigstage.tsr'), hello('sha256'), null],
      [fixture('sigstage-bare.tsr'), hello('sha256'), chain],
      [fixture('sigstage-bare.tsr'), hello('sha256'), null],
      [fixture('sigstage-edited.tsr'), hello('sha256'), chain],
      [fixture('sigstage.tsr'), hello('sha512'), chain],
    ];
    const said = python(asked).map((one) => (typeof one === 'string' ? null : one));
    expect(said).toEqual(asked.map(ours));
    expect(said.map((one) => one?.[2] ?? null)).toEqual([true, false, true, false, true, null, null, null]);
  });

  test.each(['right', 'RSA, an authority between', 'P-384, an authority between'])(
    'no bit of “%s” makes another time or authority, there or here',
    (name) => {
      const right = tokenOf(name);
      const flips = Array.from({ length: Math.ceil(right.length / STEP) }, (_, i): Asked => {
        const copy = Uint8Array.from(right);
        copy[STEP * i]! ^= 1 << (i % 8);
        return [copy, golden.root, roots];
      });
      const whole = ours(of(name))!;
      const said = python(flips);
      for (const [i, now] of said.entries()) {
        if (typeof now !== 'string' && now[2]) expect(now, `byte ${STEP * i}`).toEqual(whole);
        // Of bits that nobody signs (versions, a list of digest algorithms) one may be stricter than the other.
        const own = ours(flips[i]!);
        if (own !== null && typeof now !== 'string') expect(now, `byte ${STEP * i}`).toEqual(own);
      }
    },
    120_000,
  );
});
