// Commit, prove, draw as steps of one run: what each refuses, that none replaces what an earlier one wrote, and that
// fingerprinting goes on from there. The round is a real one, so the clock stands before it; OpenSSL stamps.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { parseClaim } from '../../src/claim/claim.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { type FingerprintOptions, fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { commitRun, drawRun, proveRun } from '../../src/fingerprint/steps.ts';
import { valueOfRound } from '../../src/proof/drand.ts';
import { verify } from '../../src/verify/verify.ts';
import { answered, hasOpenssl, stampedAt } from '../proof/authority.ts';
import { OTHER_ROUND, ROUND, roundOf } from '../proof/claims.ts';
import { golden } from '../proof/tokens.ts';

const model = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-steps-'));
const file = (name: string): string => join(scratch, name);
const MINUTES = 600_000;
// Keys that need no free rows: what is tried here is the same for each method.
const SETTINGS = { pool: '12', trained: '4', negatives: '2' };
const HOW = { method: 'sft', keys: 'paper' } as const;
const run = file('run');
const tsaRoot = file('root.pem');
const BEFORE = '2026-09-17T12:00:00Z';

const commit = (more: Partial<FingerprintOptions> = {}) =>
  commitRun({ model, out: run, ...HOW, settings: SETTINGS, beacon: ROUND, ...more });
const claim = () => parseClaim(readFileSync(join(run, 'claim.json'), 'utf8'));
const secret = async () => (await readSecret(join(run, 'secret.whorl'))).reveal();
/** Up to what comes after the draw, then stopped. */
const begun = (more: Partial<FingerprintOptions> = {}) =>
  fingerprint({
    out: run,
    ...more,
    onEvent: (event) => {
      if (event.kind === 'phase' && event.name !== 'digests') throw new Error('stopped');
    },
  });

let server: Server;
let answer: (request: Buffer) => { status: number; body: Uint8Array };
let address: string;
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date(BEFORE) });
  writeFileSync(tsaRoot, golden.certificates.root);
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { status, body } = answer(Buffer.concat(parts));
      response.writeHead(status).end(body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  vi.useRealTimers();
  server.close();
  rmSync(scratch, { recursive: true, force: true });
});

describe('commit', () => {
  test.each([
    ['a round that is known', 1000, /beacon round 1000 is of 2023-08-23.*prove nothing/],
    ['a round in half a minute', { minutes: 0.5 }, /prove nothing/],
    ['no round', 0.5, /is no round/],
    ['a time without end', { minutes: 1e12 }, /is no round/],
  ])('%s is refused before anything is written', async (_, beacon, says) => {
    await expect(commit({ beacon, out: file('none') })).rejects.toThrow(says);
    expect(existsSync(file('none'))).toBe(false);
  });

  test(
    'makes claim and secret, draws nothing, and made again is the same',
    async () => {
      const report = await commit();
      expect(report).toMatchObject({
        draw: { source: 'beacon', round: ROUND },
        drawn_at: '2026-09-17T15:23:39.000Z',
      });
      expect((await secret()).draw).toBeNull();
      const before = readFileSync(join(run, 'claim.json'), 'utf8');
      expect((await commit({ beacon: { minutes: 999 } })).root).toBe(report.root);
      await expect(commit({ beacon: OTHER_ROUND })).rejects.toThrow(`beacon: ${ROUND}, now ${OTHER_ROUND}`);
      await expect(commit({ settings: { ...SETTINGS, trained: '5' } })).rejects.toThrow(/trained: 4, now 5/);
      expect(readFileSync(join(run, 'claim.json'), 'utf8')).toBe(before);
    },
    MINUTES,
  );

  test('is not asked about as it is, nor trained', async () => {
    await expect(verify({ secret: join(run, 'secret.whorl'), suspect: model })).rejects.toThrow(
      /not drawn yet/,
    );
    for (const dryRun of [true, false] as const)
      await expect(fingerprint({ out: run, dryRun } as { out: string; dryRun: true })).rejects.toThrow(
        `whorl draw ${run} --beacon ${ROUND}`,
      );
  });
});

describe.skipIf(!hasOpenssl)('prove', () => {
  const pageFile = (): string => {
    writeFileSync(file('page'), '<html>');
    return file('page');
  };
  const stampOf = (digest: string, time: string): string => {
    writeFileSync(file('answer.tsr'), stampedAt(scratch, digest, time));
    return file('answer.tsr');
  };

  test.each([
    ['of another claim', () => stampOf('ab'.repeat(32), BEFORE), /it stamps abab/],
    [
      'later than the dice',
      () => stampOf(claim().root, '2026-09-17T15:24:00Z'),
      /less than 60 s before round/,
    ],
    [
      'half a minute before them',
      () => stampOf(claim().root, '2026-09-17T15:23:10Z'),
      /less than 60 s before round/,
    ],
    [
      'older than the claim',
      () => stampOf(claim().root, '2026-09-15T12:00:00Z'),
      /says that it was made at 2026-09-17/,
    ],
    ['a page', () => pageFile(), /no RFC 3161 response/],
    ['no file', () => file('nowhere'), /does not exist/],
  ])('a stamp %s is refused, and nothing kept', async (_, response, says) => {
    await expect(proveRun({ run, response: response(), tsaRoot })).rejects.toThrow(says);
    expect(existsSync(join(run, 'proofs'))).toBe(false);
  });

  test('a stamp under another root is refused where a root is named', async () => {
    writeFileSync(file('other.pem'), golden.certificates['other root']);
    const response = stampOf(claim().root, BEFORE);
    await expect(proveRun({ run, response, tsaRoot: file('other.pem') })).rejects.toThrow(/does not lead to/);
    await expect(proveRun({ run, response, request: file('q') })).rejects.toThrow(/2 ways/);
    await expect(proveRun({ run })).rejects.toThrow(/no way to a time stamp is given/);
  });

  test('a request for who has no network; its answer is kept once', async () => {
    await proveRun({ run, request: file('claim.tsq') });
    writeFileSync(file('claim.tsr'), answered(scratch, readFileSync(file('claim.tsq')), BEFORE));
    const kept = await proveRun({ run, response: file('claim.tsr'), tsaRoot });
    expect(kept.stamp).toMatchObject({ time: '2026-09-17T12:00:00.000Z', authority: 'CN=whorl test tsa' });
    expect(kept.stamp!.anchor).not.toBeNull();
    expect((await proveRun({ run, response: file('claim.tsr') })).file).toBe(kept.file);
    expect(readdirSync(join(run, 'proofs'))).toEqual(['1.tsr']);
  });

  test('a server: what it answers is checked like a file, its nonce too', async () => {
    answer = (request) => ({ status: 200, body: answered(scratch, request, BEFORE) });
    expect((await proveRun({ run, tsa: address, tsaRoot })).file).toBe(join(run, 'proofs/2.tsr'));
    answer = () => ({ status: 200, body: readFileSync(file('claim.tsr')) });
    await expect(proveRun({ run, tsa: address })).rejects.toThrow(/answers another request/);
    answer = () => ({ status: 503, body: Buffer.from('busy') });
    await expect(proveRun({ run, tsa: address })).rejects.toThrow(/status 503/);
    answer = () => ({ status: 302, body: Buffer.from('') });
    await expect(proveRun({ run, tsa: address })).rejects.toThrow(/status 302/);
    answer = () => ({ status: 200, body: Buffer.alloc(1 << 20) });
    await expect(proveRun({ run, tsa: address })).rejects.toThrow(/more than 65536 bytes/);
    await expect(proveRun({ run, tsa: 'file:///etc/passwd' })).rejects.toThrow(/no address/);
    expect(readdirSync(join(run, 'proofs'))).toHaveLength(2);
  });
});

describe('draw', () => {
  const roundFile = (value: unknown): string => {
    writeFileSync(file('round.json'), typeof value === 'string' ? value : JSON.stringify(value));
    return file('round.json');
  };
  const { round, signature } = roundOf(ROUND);

  test.each([
    ['no source', undefined, /commits to beacon round 32285085/],
    ['another number', '1000', /round 1000 is given/],
    ['its number before its time', String(ROUND), /comes at 2026-09-17T15:23:39/],
  ])('%s is refused', async (_, beacon, says) => {
    await expect(drawRun({ run, ...(beacon && { beacon }) })).rejects.toThrow(says);
  });

  test.each([
    ['another round', () => roundOf(OTHER_ROUND), /round 32285086 is given/],
    [
      'another round’s signature',
      () => ({ round, signature: roundOf(OTHER_ROUND).signature }),
      /not one by drand/,
    ],
    ['a counter', () => ({ round, signature: '1'.padStart(96, '0') }), /not one by drand/],
    ['a value of his own', () => ({ round, signature, randomness: '9'.repeat(64) }), /another value/],
    ['no signature', () => ({ round, randomness: '9'.repeat(64) }), /no round of drand/],
    ['a text', () => 'null', /no round of drand/],
    ['no JSON', () => '<html>', /is not JSON/],
  ])('%s is refused, and nothing kept', async (_, value, says) => {
    await expect(drawRun({ run, beacon: roundFile(value()) })).rejects.toThrow(says);
    expect(existsSync(join(run, 'beacon.json'))).toBe(false);
  });

  test.skipIf(!hasOpenssl)('the committed round is kept, and said to be proved', async () => {
    vi.setSystemTime(new Date('2026-09-17T16:00:00Z'));
    answer = () => ({ status: 200, body: Buffer.from(JSON.stringify({ round, signature })) });
    const randomness = valueOfRound(roundOf(ROUND));
    expect(await drawRun({ run, beacon: address, tsaRoot })).toMatchObject({
      randomness,
      proved: 'anchored',
    });
    expect(JSON.parse(readFileSync(join(run, 'beacon.json'), 'utf8'))).toEqual(roundOf(ROUND));
    expect(await drawRun({ run })).toMatchObject({ randomness, proved: 'not anchored' });
  });

  test(
    'fingerprinting goes on without being told anything again, from that draw',
    async () => {
      if (!existsSync(join(run, 'beacon.json')))
        await drawRun({ run, beacon: roundFile({ round, signature }) });
      const { root } = claim();
      await expect(begun()).rejects.toThrow('stopped');
      const { draw, randomness, opening } = await secret();
      expect(claim().root).toBe(root);
      expect(randomness).toBe(valueOfRound(roundOf(ROUND)));
      expect(draw).toEqual(makeDraw(claim(), opening.owner_seed!, randomness));
      await expect(begun({ model, ...HOW, settings: SETTINGS })).rejects.toThrow('stopped');
      await expect(begun({ model, ...HOW, settings: { ...SETTINGS, trained: '5' } })).rejects.toThrow(
        /trained: 4, now 5/,
      );
      await expect(begun({ trained: 5 })).rejects.toThrow(/trained: 4, now 5/);
      await expect(begun({ settings: { trained: '5' } })).rejects.toThrow(/trained: 4, now 5/);
      await expect(begun({ beacon: OTHER_ROUND })).rejects.toThrow(/prove nothing|beacon: /);
    },
    MINUTES,
  );

  test('a beacon.json put in its place is refused by name, before training', async () => {
    const kept = readFileSync(join(run, 'beacon.json'));
    writeFileSync(join(run, 'beacon.json'), JSON.stringify(roundOf(OTHER_ROUND)));
    await expect(begun()).rejects.toThrow(/beacon\.json is not the round that the claim commits to/);
    writeFileSync(join(run, 'beacon.json'), JSON.stringify({ ...roundOf(ROUND), signature: '8'.repeat(96) }));
    await expect(begun()).rejects.toThrow(/not one by drand/);
    writeFileSync(join(run, 'beacon.json'), '{}');
    await expect(begun()).rejects.toThrow(/beacon\.json: field chain is wrong/);
    writeFileSync(join(run, 'beacon.json'), kept);
  });
});

describe('verify, with what lies beside the claim', () => {
  const asked = (more: object = {}) => verify({ secret: join(run, 'secret.whorl'), suspect: model, ...more });

  test.skipIf(!hasOpenssl)(
    'exact, time stamp and dice in words; not without the round, nor with the stamp of another claim',
    async () => {
      const report = await asked({ tsaRoot });
      expect(report).toMatchObject({ exact: true, tried: expect.stringContaining('2^40') });
      expect(report.time_proof).toMatch(/2026-09-17T12:00:00.000Z by CN=whorl test tsa.*before the round/);
      expect(await asked()).toMatchObject({ exact: true, tried: expect.stringContaining('2^80') });

      const elsewhere = file('elsewhere');
      mkdirSync(join(elsewhere, 'proofs'), { recursive: true });
      copyFileSync(join(run, 'claim.json'), join(elsewhere, 'claim.json'));
      const there = { claim: join(elsewhere, 'claim.json'), tsaRoot };
      expect(await asked(there)).toMatchObject({ exact: false, verdict: 'not-verified' });
      writeFileSync(join(elsewhere, 'beacon.json'), JSON.stringify(roundOf(ROUND)));
      writeFileSync(join(elsewhere, 'proofs/1.tsr'), stampedAt(scratch, 'cd'.repeat(32), BEFORE));
      await expect(asked(there)).rejects.toThrow(/it stamps cdcd/);
    },
    MINUTES,
  );
});

test(
  'the owner’s own dice are drawn by the commitment: nothing to draw, no beacon taken',
  async () => {
    const out = file('own');
    const report = await commitRun({ model, out, ...HOW, settings: SETTINGS });
    expect(report).toMatchObject({ draw: { source: 'owner-seed' }, drawn_at: null });
    expect((await readSecret(report.secret)).reveal().draw).not.toBeNull();
    expect(await drawRun({ run: out })).toMatchObject({ source: 'owner-seed', round: null });
    await expect(drawRun({ run: out, beacon: '1000' })).rejects.toThrow(/own dice/);
    await expect(fingerprint({ out: file('nothing') })).rejects.toThrow(/name the model with --model/);
    await expect(drawRun({ run: file('nothing') })).rejects.toThrow(/claim\.json does not exist/);
  },
  MINUTES,
);
