// Files that would pass for a certificate and are none: other spellings of one that holds, keys under which anybody signs, times
// that cannot be. Ours and Python refuse each, and agree on what merely looks odd.

import { sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sha256Hex } from '../../../src/base/sha256.ts';
import { canonicalJson, type Json } from '../../../src/claim/canonical.ts';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import { PAYLOAD_TYPE, signedBytes } from '../../../src/proof/pae.ts';
import { chainedRanks, type Statement } from '../../../src/verify/certificate/statement.ts';
import { answersPlan } from '../../claim/plans.ts';
import { ROUND, roundOf, stamped } from '../../proof/claims.ts';
import { golden } from '../../proof/tokens.ts';
import { CERTIFICATE_KINDS, KEYS, made } from './made.ts';
import { codeOf, improved } from './mutants.ts';
import { hasPython, pythonCodes } from './python.ts';

const enveloped = (payload: string, signer: string, sig: Buffer): string => {
  const keyid = sha256Hex(Buffer.from(signer, 'base64'));
  return `${canonicalJson({
    payloadType: PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid, sig: sig.toString('base64') }],
  })}\n`;
};
/** A payload of any text, signed by the key of `made`. */
const signed = (payload: string, { predicate: { signer } }: Statement): string =>
  enveloped(payload, signer, sign(null, signedBytes(Buffer.from(payload)), KEYS.ed25519));

/** The same ECDSA signature with n - s for s: a stranger can make it. */
function otherS(text: string): string {
  const { sig } = (JSON.parse(text) as { signatures: [{ sig: string }] }).signatures[0];
  const der = Buffer.from(sig, 'base64');
  const r = der.subarray(2, 4 + der[3]!);
  const s = BigInt(`0x${der.subarray(r.length + 4).toString('hex')}`);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const digits = (order - s).toString(16);
  const bytes = Buffer.from(digits.padStart(2 * Math.ceil(digits.length / 2), '0'), 'hex');
  const positive = bytes[0]! > 127 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  const body = Buffer.concat([r, Buffer.of(2, positive.length), positive]);
  return text.replace(sig, Buffer.concat([Buffer.of(0x30, body.length), body]).toString('base64'));
}

const IDENTITY = `01${'00'.repeat(31)}`;
/** SPKI of points under which R = identity, s = 0 is a signature of anything, or of every second text. */
const SMALL: Readonly<Record<string, string>> = {
  'the neutral point': IDENTITY,
  'the point of order 2': `ec${'ff'.repeat(30)}7f`,
  'the neutral point, spelt y = p + 1': `ee${'ff'.repeat(30)}7f`,
};

const base = made();
const edited = (edit: (predicate: Statement['predicate']) => void, of = base): string =>
  improved(of.statement, KEYS.ed25519, ({ predicate }) => edit(predicate));
const claimWith = (from: string, to: string): string =>
  edited((p) => {
    expect(p.claim).toContain(from);
    p.claim = p.claim.replace(from, to);
  });

const suspectOf = ({ suspect }: Statement['predicate']) => suspect as { source: string };

/** By what is wrong with them. */
const REFUSED: Readonly<Record<string, () => string[]>> = {
  'the other S of an ECDSA signature': () =>
    Array.from({ length: 8 }, (_, i) => {
      const { text } = made({ key: KEYS.p256, lost: i });
      expect(codeOf(text)).not.toBe(1);
      return otherS(text);
    }),
  'keys under which anybody signs': () =>
    Object.values(SMALL).flatMap((point) => {
      const signer = Buffer.from(`302a300506032b6570032100${point}`, 'hex').toString('base64');
      const sig = Buffer.from(IDENTITY + '00'.repeat(32), 'hex');
      return Array.from({ length: 4 }, (_, second) => {
        const statement = structuredClone(base.statement) as {
          predicate: { signer: string; created: string };
        };
        Object.assign(statement.predicate, { signer, created: `2026-11-27T06:00:0${second}.000Z` });
        return enveloped(canonicalJson(statement as unknown as Json), signer, sig);
      });
    }),
  'members called __proto__': () =>
    ['"systems"', '"wrappers"', '"key/0"'].map((leaf) => {
      const payload = canonicalJson(base.statement as unknown as Json);
      // First in the order of names, and in the value of a leaf, where any JSON may stand.
      const at = payload.indexOf('"value":', payload.indexOf(leaf)) + '"value":'.length;
      const value = payload[at] === '{' ? '{"__proto__":1,' : '{"__proto__":1}';
      return signed(
        payload.slice(0, at) + value + payload.slice(at + (payload[at] === '{' ? 1 : 2)),
        base.statement,
      );
    }),
  'brackets without end': () =>
    [2000, 20_000].flatMap((depth) => {
      const nested = '['.repeat(depth) + ']'.repeat(depth);
      return [`${nested}\n`, signed(nested, base.statement), edited((p) => void (p.claim = nested))];
    }),
  'no day of the calendar, no ASCII': () =>
    ['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-11-27T25:00:00Z', '٢٠٢٦-11-27T06:00:00Z'].map(
      (time) => edited((p) => void (p.created = time)),
    ),
  'issued before its claim was made': () => [edited((p) => void (p.created = '1969-12-30T23:59:59Z'))],
  'issued before the last answer came': () => [
    edited((p) => void (p.created = '2026-11-26T05:00:00Z'), made({ server: true })),
  ],
  'issued before the round that it was drawn from': () => {
    const drawn = made({
      committed: stamped(),
      plan: eight(),
      beside: { beacon: roundOf(ROUND), proofs: [] },
    });
    expect(codeOf(drawn.text)).toBe(4);
    return [edited((p) => void (p.created = '2026-09-16T12:00:00Z'), drawn)];
  },
  'a claim that is no JSON, longer than any, nested without end': () => [
    claimWith('"n": 16,', '"n": NaN, "n": 16,'),
    claimWith('"n": 16,', '"n": Infinity, "n": 16,'),
    claimWith('"n": 16,', '"n": 16, "n": 1e400,'),
    edited((p) => void (p.claim = p.claim.padEnd(2 ** 20 + 1))),
    claimWith('"root"', `"x": ${'['.repeat(63)}${']'.repeat(63)}, "root"`),
  ],
  'a name of more characters than it may have': () => [
    edited((p) => void (suspectOf(p).source = '\u{1f600}'.repeat(4097))),
  ],
  'a time stamp in another spelling of base64': () => {
    const { response } = golden.tokens.right!;
    const beside = { beacon: roundOf(ROUND), proofs: [Buffer.from(response, 'base64')] };
    const proved = made({ committed: stamped(), plan: eight(), beside });
    expect(codeOf(proved.text)).toBe(4);
    return [edited((p) => void (p.proofs = [response.replace(/=*$/, '')]), proved)];
  },
};
function eight(): ClaimPlan {
  return answersPlan(8, 256) as ClaimPlan;
}

describe('refused by both', () => {
  test.each(Object.entries(REFUSED))('%s', (_, make) => {
    const texts = make();
    expect(texts.map(codeOf)).toEqual(texts.map(() => 1));
    if (hasPython) expect(pythonCodes(texts)).toEqual(texts.map(() => 1));
  });
});

/** Odd, and nothing that anybody gains by. */
const READ: Readonly<Record<string, () => string>> = {
  'a whole number of the claim with a point': () => claimWith('"n": 16,', '"n": 16.0,'),
  'one with an exponent': () => claimWith('"n": 16,', '"n": 1.6e1,'),
  'a member of the claim that stands twice: the last one counts': () =>
    claimWith('"root"', '"root": "x", "root"'),
  'a fraction of a second': () => edited((p) => void (p.created = '2026-11-27T06:00:00.123456789Z')),
  'a name of as many characters as it may have, each of two units': () =>
    edited((p) => void (suspectOf(p).source = '\u{1f600}'.repeat(4096))),
  'a claim as long as it may be': () => edited((p) => void (p.claim = p.claim.padEnd(2 ** 20))),
};

/** Log-probabilities that a server could say: whole numbers beyond 2^53 are written otherwise by many languages. */
test.each([-(2 ** 53), -(2 ** 53) - 2, -1e20, -123456789012345680000, -1e21, -1e300, -5e-324])(
  'a score of %d is read alike by both',
  (worst) => {
    const { statement } = CERTIFICATE_KINDS.ranked!();
    const text = improved(statement, KEYS.ed25519, ({ predicate }) => {
      const { transcript, stamp, ranks } = predicate;
      const scores = structuredClone(ranks!.scores);
      // The least of a row, where no other is as little: ranks stay as they are.
      const least = (row: readonly (number | null)[]) => Math.min(...row.map((x) => x ?? 0));
      const row = scores.find((row) => row.filter((x) => x === least(row)).length === 1)!;
      row[row.indexOf(least(row))] = worst;
      if (worst > -1) row.fill(worst);
      predicate.ranks = chainedRanks(transcript, stamp, { scores, log10_p: ranks!.log10_p });
    });
    const codes = [codeOf(text), ...(hasPython ? pythonCodes([text]) : [])];
    expect(new Set(codes).size).toBe(1);
    if (worst < -1) expect(codes[0]).toBe(4);
  },
);

test.each(Object.entries(READ))('read alike by both: %s', (_, make) => {
  const text = make();
  expect([codeOf(text), ...(hasPython ? pythonCodes([text]) : [])]).toEqual([0, ...(hasPython ? [0] : [])]);
});
