// Certificates: what holds is replayed to the same word by our checker and by one in Python that shares no code with it
// (examples/check.py), and no mutant is accepted by either. `bench/mutants.ts` tries tens of thousands.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { certificatePage } from '../../../src/verify/certificate/page.ts';
import { chained, type Statement, type WeightsSuspect } from '../../../src/verify/certificate/statement.ts';
import { certifier } from '../../../src/verify/certify.ts';
import type { OpenedClaim } from '../../../src/verify/opened-claim.ts';
import { answersPlan, seeded } from '../../claim/plans.ts';
import { whorl } from '../../cli/whorl.ts';
import { CERTIFICATE_KINDS, KEYS, large, made, small, stampAlone, stamped } from './made.ts';
import { codeOf, EXIT, flipped, improved, oursRefuses, structural } from './mutants.ts';
import { hasPython, pythonCodes } from './python.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-certificate-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const cases: readonly [string, () => ReturnType<typeof made>, keyof typeof EXIT][] = [
  ['T3, all keys', () => made(), 'verified'],
  ['T3, one key lost, P-256', () => made({ key: KEYS.p256, lost: 1 }), 'verified'],
  ['T3, most lost', () => made({ lost: 10 }), 'matches'],
  ['T3, silent', () => made({ lost: 16 }), 'not-verified'],
  [
    'T3, keys that were asked otherwise',
    () => made({ lost: 16, changed: [...Array(15).keys()] }),
    'undecided',
  ],
  [
    'T3, a part',
    () => made({ range: { from: 2, to: 16 }, plan: answersPlan(16, 256) as ClaimPlan }),
    'verified',
  ],
  ["T3, another wrapper and the suspect's own template", () => made({ wrapper: 'chat' }), 'verified'],
  ['T3, said twice', () => made({ plan: repeated() }), 'verified'],
  ['T4', () => made({ plan: large() }), 'verified'],
  ['T4, two lost', () => made({ plan: large(), lost: 2 }), 'matches'],
  ['T4, too small', () => made({ plan: small(), lost: 5 }), 'undecided'],
  ['T4, a part', () => made({ plan: large(), range: { from: 0, to: 300 } }), 'matches'],
  ['behind a server', () => made({ server: true }), 'verified'],
  ['behind a server, T4, lost', () => made({ server: true, plan: large(), lost: 20 }), 'not-verified'],
  ['keys and a stamp, read', () => made({ plan: stamped(large()), lost: 4, read: [12, 1, 0.5] }), 'verified'],
  ['keys and a stamp, without it', () => made({ plan: stamped(large()), lost: 4 }), 'matches'],
  [
    'keys and a stamp that says nothing',
    () => made({ plan: stamped(many()), read: [-1.5, 0, null] }),
    'verified',
  ],
  ['keys and a stamp, a server', () => made({ plan: stamped(many()), server: true, lost: 1 }), 'verified'],
  [
    'a stamp too weak beside few keys',
    () => made({ plan: stamped(small()), read: [0.5, 2, 1], lost: 5 }),
    'not-verified',
  ],
  [
    'keys asked otherwise, no matrix read',
    () => made({ plan: stamped(small()), read: [null, null, null], lost: 5 }),
    'undecided',
  ],
  ['a stamp alone', () => made({ plan: stampAlone(), read: [40, 3, null] }), 'verified'],
  ['a stamp alone, at the floor', () => made({ plan: stampAlone(), read: [300, 20, 20] }), 'verified'],
  ['a stamp alone, weak', () => made({ plan: stampAlone(), read: [8.5, null, null] }), 'matches'],
  ['a stamp alone, none there', () => made({ plan: stampAlone(), read: [0.3, -4, 1] }), 'not-verified'],
  ['a stamp alone, nothing read', () => made({ plan: stampAlone(), read: [null, null, null] }), 'undecided'],
  ['stopped, T3', () => made({ sequential: {} }), 'verified'],
  ['stopped, T3, for the lesser word', () => made({ sequential: { until: 'matches' } }), 'matches'],
  ['stopped, T3, some lost', () => made({ plan: long(), lost: 3, sequential: {} }), 'verified'],
  ['stopped, T3, given up', () => made({ plan: long(), lost: 32, sequential: {} }), 'not-verified'],
  ['stopped, T3, out of reach', () => made({ lost: 16, sequential: {} }), 'not-verified'],
  ['stopped by its budget', () => made({ sequential: { budget: 2 } }), 'undecided'],
  ['stopped by its budget, matching', () => made({ sequential: { budget: 6 } }), 'matches'],
  [
    'stopped, keys beyond its end that are read otherwise',
    () => made({ sequential: {}, lost: 1, changed: [0, 13, 14, 15] }),
    'matches',
  ],
  ['stopped, behind a server', () => made({ sequential: { until: 'matches' }, server: true }), 'matches'],
  [
    'stopped, after burnt keys',
    () => made({ plan: long(), sequential: {}, range: { from: 5, to: 32 } }),
    'verified',
  ],
  ['stopped, another wrapper', () => made({ plan: long(), sequential: {}, wrapper: 'alpaca' }), 'verified'],
  ['stopped, T4', () => made({ plan: large(), sequential: { until: 'matches' } }), 'matches'],
  ['stopped, T4, all asked', () => made({ plan: large(), sequential: {} }), 'verified'],
  [
    'stopped, T4, after burnt keys',
    () => made({ plan: large(), sequential: { until: 'matches' }, range: { from: 30, to: 400 }, lost: 2 }),
    'matches',
  ],
  ['stopped, T4, silent', () => made({ plan: large(), sequential: {}, lost: 20 }), 'not-verified'],
  [
    'stopped, with a stamp that was read',
    () => made({ plan: stamped(many()), sequential: { budget: 3 }, read: [12, 1, null] }),
    'verified',
  ],
  ['a stamp alone, P-256', () => made({ plan: stampAlone(), read: [40, 3, 1], key: KEYS.p256 }), 'verified'],
];
function long(): ClaimPlan {
  return answersPlan(32, 256) as ClaimPlan;
}
function many(): ClaimPlan {
  return answersPlan(16, 256) as ClaimPlan;
}
function repeated(): ClaimPlan {
  const words =
    'the first candidate that stands in the continuation as a whole word, said once or several times in a row (roserose), case ignored';
  return { ...answersPlan(16, 256), matcher: 'first-candidate-repeated', matcher_text: words };
}

describe('what holds', () => {
  const certificates = cases.map(([name, make, word]) => ({ name, word, ...make() }));

  test.each(certificates)('$name: $word', ({ text, word, statement }) => {
    const { verdict } = checkCertificate(text);
    expect([verdict.verdict, statement.predicate.result.word]).toEqual([word, word]);
  });

  test.skipIf(!hasPython)('Python comes to the same words', () => {
    expect(pythonCodes(certificates.map(({ text }) => text))).toEqual(
      certificates.map(({ word }) => EXIT[word]),
    );
  });

  test('keys that were not asked stay secret, and so do the draw of others and the owner’s seed', () => {
    const { text, statement, opened } = made({ range: { from: 0, to: 4 } });
    for (const { text: key } of opened.plan.keys.slice(4))
      expect(statement.predicate.openings.map(({ value }) => value)).not.toContainEqual(
        expect.objectContaining({ text: key }),
      );
    const names = statement.predicate.openings.map(({ name }) => name);
    expect(names).not.toContain('owner-seed');
    expect(names.filter((name) => name.startsWith('seed/'))).toEqual([
      'seed/keys/0',
      'seed/keys/1',
      'seed/keys/2',
      'seed/keys/3',
    ]);
    expect(text).toMatch(/^\{"payload":"/);
  });

  test('whorl check: the word, the exit code, a page without scripts; another key is refused', async () => {
    const { text } = made({ lost: 10 });
    const file = join(scratch, 'a.json');
    const page = join(scratch, 'a.html');
    writeFileSync(file, text);
    const { code, out } = await whorl('check', file, '--html', page);
    expect(code).toBe(4);
    expect(out).toMatch(/^MATCHES \(OWNER'S WORD\)/);
    const html = certificatePage(checkCertificate(text), 'matches');
    expect(html).toContain('org/ähnlich');
    expect(html).not.toMatch(/<script|src=|href=/);
    const pem = join(scratch, 'other.pem');
    writeFileSync(pem, KEYS.p256.export({ type: 'pkcs8', format: 'pem' }));
    expect((await whorl('check', file, '--key', pem)).err).toMatch(/another key signed it/);
    expect(await whorl('check', join(scratch, 'none.json'))).toMatchObject({ code: 1 });
  });

  test('a page shows hostile texts as texts', () => {
    const { statement } = made();
    const hostile = improved(statement, KEYS.ed25519, ({ predicate }) => {
      (predicate.suspect as WeightsSuspect).source = '<img src=x onerror=alert(1)>';
    });
    expect(certificatePage(checkCertificate(hostile), 'verified')).toContain('&lt;img src=x');
  });

  test('no text of a certificate hides or turns round what stands beside it, on paper or on a terminal', async () => {
    const unseen = ['\u202e', '\u200b', '\u061c', '\u00ad', '\u{e0041}', '\u2028', '\u001b[2K\r', '\u0085'];
    const name = `a${unseen.join('b')}c`;
    const hostile = improved(made().statement, KEYS.ed25519, ({ predicate }) => {
      (predicate.suspect as WeightsSuspect).source = name;
      Object.assign(predicate.software, { name, version: name });
      predicate.transcript[0]!.answer += name;
      chainAnew({ predicate } as Statement);
    });
    const file = join(scratch, 'unseen.json');
    const page = join(scratch, 'unseen.html');
    writeFileSync(file, hostile);
    const { out } = await whorl('check', file, '--html', page);
    for (const text of [out, readFileSync(page, 'utf8')]) {
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(text).toContain('a\\u202eb\\u200bb\\u061cb\\u00adb\\udb40\\udc41b');
    }
  });

  test.skipIf(!hasPython)('examples/check.py as a person runs it', () => {
    const file = join(scratch, 'b.json');
    writeFileSync(file, made().text);
    const script = join(packageRoot(), 'examples/check.py');
    expect(execFileSync('python3', [script, file], { encoding: 'utf8' })).toBe('verified\n');
    writeFileSync(file, '{}');
    expect(spawnSync('python3', [script, file]).status).toBe(1);
  });
});

/** The edits of an owner who signs what he likes; each with the answers chained anew. */
const ATTACKS: readonly [string, (copy: Statement) => void][] = [
  ['an answer that is better', (c) => answer(c, 0, ' word7.')],
  ['an answer cut away', (c) => void c.predicate.transcript.pop()],
  [
    'two answers exchanged',
    (c) => c.predicate.transcript.splice(0, 2, c.predicate.transcript[1]!, c.predicate.transcript[0]!),
  ],
  ['another suspect', (c) => void ((c.predicate.suspect as WeightsSuspect).weights = 'd'.repeat(64))],
  ['another subject', (c) => void (c.subject[0].digest.sha256 = 'd'.repeat(64))],
  [
    'worked examples before each key',
    (c) => {
      c.predicate.asked.prefix = 'key 1: word7\n';
      for (const e of c.predicate.transcript) e.prompt = `key 1: word7\n${e.prompt}`;
    },
  ],
  ['a system prompt', (c) => void (c.predicate.asked.system = 'Answer word7.')],
  ['a wrapper of his own', (c) => void (c.predicate.asked.wrapper = 'mine')],
  ['a better word', (c) => void (c.predicate.result.word = 'verified')],
  ['fewer draws paid for', (c) => void (c.predicate.result.draws_log2 = 40)],
  ['a smaller p', (c) => void (c.predicate.result.p = { numerator: '1', denominator: '9'.repeat(60) })],
  [
    'fewer keys than were asked',
    (c) => {
      c.predicate.asked.to -= 1;
      c.predicate.transcript.pop();
    },
  ],
  ['a later look than is paid for', (c) => void (c.predicate.asked.look = 2)],
  ['look 0', (c) => void (c.predicate.asked.look = 0)],
  ['a limit left out', (c) => void c.predicate.says_not.pop()],
  ['a leaf of another salt', (c) => void (c.predicate.openings[3]!.salt = '0'.repeat(64))],
  ['one leaf twice', (c) => void c.predicate.openings.push(c.predicate.openings[0]!)],
  [
    'another claim with the same root',
    (c) => void (c.predicate.claim = c.predicate.claim.replace('"most_looks": 1', '"most_looks": 9')),
  ],
  [
    'a claim that pays for a looser level',
    (c) => void (c.predicate.claim = c.predicate.claim.replace('0.000001', '0.5')),
  ],
  [
    'a beacon that nobody checked',
    (c) => void (c.predicate.beacon = { chain: 'a'.repeat(64), round: 1, signature: 'a'.repeat(96) }),
  ],
];
function answer(copy: Statement, i: number, text: string): void {
  copy.predicate.transcript[i]!.answer = text;
}
function chainAnew(copy: Statement): void {
  const { root } = JSON.parse(copy.predicate.claim) as { root: string };
  copy.predicate.transcript = chained(root, copy.predicate.transcript);
}

/** Edits of an owner whose test was stopped. */
const STOPPED: readonly [string, (copy: Statement) => void][] = [
  ['another reason', (c) => void (c.predicate.stopped!.why = 'budget')],
  ['another goal', (c) => void (c.predicate.stopped!.until = 'verified')],
  ['a test of all keys that was never made', (c) => void delete c.predicate.stopped],
  [
    'an answer beyond its end',
    (c) => {
      c.predicate.asked.to += 1;
      c.predicate.transcript.push({ ...c.predicate.transcript[0]! });
    },
  ],
  ['an answer cut away', (c) => void c.predicate.transcript.pop()],
  ['an answer that is better', (c) => answer(c, 0, ' word7.')],
  ['a key that the claim has not, read otherwise', (c) => void c.predicate.changed.push(16)],
  ['what one test costs', (c) => void (c.predicate.result.multiplicity = 1)],
  ['no tokens of a prompt', (c) => void (c.predicate.transcript[0]!.prompt_tokens = null)],
];

describe('a claim with a private part is shown by all of its pool', () => {
  const { opened } = made({ plan: small(), body: true });
  const at = { file: join(scratch, 'part.json'), key: join(scratch, 'part.pem') };
  const issuing = (to: number, more: object = {}) =>
    certifier(at, { opened, range: { from: 0, to } } as OpenedClaim, more);
  test('a part of it, and a test that may stop, are refused before anything is asked', () => {
    expect(issuing(40)).toMatchObject({ file: at.file });
    expect(() => issuing(39)).toThrow(/opens its whole pool/);
    expect(() => issuing(40, { sequential: {} })).toThrow(/opens its whole pool/);
  });
});

describe('what does not', () => {
  const base = made({ lost: 10 });

  test.skipIf(!hasPython)('a test that was stopped otherwise than it says: ours and Python refuse', () => {
    const { statement } = made({ lost: 2, sequential: { until: 'matches' } });
    const whole = made({ lost: 10 }).statement;
    const texts = [
      ...STOPPED.map(([, edit]) =>
        improved(statement, KEYS.ed25519, (copy) => {
          edit(copy);
          chainAnew(copy);
        }),
      ),
      improved(whole, KEYS.ed25519, (copy) => {
        copy.predicate.stopped = { until: 'verified', why: 'all-asked' };
      }),
      improved(whole, KEYS.ed25519, (copy) => {
        copy.predicate.transcript[0]!.answer_tokens = null;
        chainAnew(copy);
      }),
    ];
    expect(texts.map(codeOf)).toEqual(texts.map(() => 1));
    expect(pythonCodes(texts)).toEqual(texts.map(() => 1));
    const kept = improved(statement, KEYS.ed25519, (copy) => {
      copy.predicate.transcript[0]!.answer_tokens = null; // of an earlier call
      chainAnew(copy);
    });
    expect([codeOf(kept), ...pythonCodes([kept])]).toEqual([4, 4]);
  });

  test.skipIf(!hasPython)('every edit of a signer who is the owner: ours and Python refuse', () => {
    const texts = ATTACKS.map(([, edit]) =>
      improved(base.statement, KEYS.ed25519, (copy) => {
        edit(copy);
        chainAnew(copy);
      }),
    );
    const ours = Object.fromEntries(ATTACKS.map(([name], i) => [name, codeOf(texts[i]!)]));
    const theirs = pythonCodes(texts);
    expect(ours).toEqual(Object.fromEntries(ATTACKS.map(([name]) => [name, 1])));
    expect(theirs).toEqual(ATTACKS.map(() => 1));
  });

  test('signed by a stranger: the envelope holds, the owner’s key does not', () => {
    const { text } = made({ key: KEYS.p256 });
    const signer = base.statement.predicate.signer;
    expect(() => checkCertificate(text, { signer })).toThrow(/another key/);
    expect(() => checkCertificate(text.replace('"keyid":"', '"keyid":"0'))).toThrow(/certificate/);
  });

  test.each(Object.entries(CERTIFICATE_KINDS))(
    '%s: one-bit and structural mutants: none accepted, and both say so',
    (_, make) => {
      const random = seeded(19);
      const { statement, text } = make();
      expect([codeOf(text), ...(hasPython ? pythonCodes([text]) : [])]).not.toContain(1);
      const bits = Array.from({ length: 40 }, () => flipped(text, random));
      const signed = Array.from({ length: 60 }, () => structural(statement, KEYS.ed25519, random));
      const texts = [...bits, ...signed.map((mutant) => mutant.text)];
      const accepted = texts.flatMap((mutant, i) =>
        oursRefuses(mutant) ? [] : [signed[i - bits.length]?.what ?? 'a bit'],
      );
      expect(accepted).toEqual([]);
      if (hasPython) expect(pythonCodes(texts).filter((code) => code !== 1)).toEqual([]);
    },
    180_000,
  );
});
