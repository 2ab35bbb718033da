import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { adapterDigest, encodeAdapter } from '../../src/claim/adapter.ts';
import { claimText, parseClaim } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { openClaim } from '../../src/claim/open.ts';
import type { Bindings, PlanOf } from '../../src/claim/plan.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { inspectSecret, readSecret, writeSecret } from '../../src/claim/secret-file.ts';
import { bindings, committing, membershipPlan } from './plans.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'whorl-secret-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

const parts: Parameters<typeof encodeAdapter>[0] = {
  settings: { rank: 1 },
  tensors: { A: { shape: [2], data: Float32Array.of(1.25, -3) } },
};

function contentsOf(plan: PlanOf['drawn-membership']): SecretContents {
  const adapter = encodeAdapter(parts);
  const bound: Bindings = {
    ...bindings,
    private_part: { state: 'committed', digest: adapterDigest(adapter) },
  };
  const { claim, opening } = commitClaim(plan, committing({ bindings: bound }));
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  return {
    method: 'adapter',
    created: claim.created,
    software: claim.software,
    claim,
    plan,
    bindings: bound,
    opening: opening.reveal(),
    draw,
    randomness: null,
    adapter,
    rows: null,
    published: null,
  };
}
const contents = contentsOf(membershipPlan(20, 3, 2));
const secret = new Secret(contents);
const passphrase = new Secret('a long passphrase');
const workFactor = 8;

test('plain: mode 0600, reads back, opens its claim', async () => {
  await writeSecret(at('plain'), secret);
  expect(statSync(at('plain')).mode & 0o777).toBe(0o600);
  const back = (await readSecret(at('plain'))).reveal();
  expect(back).toEqual(contents);
  expect(openClaim(parseClaim(claimText(parseClaim(JSON.stringify(back.claim)))), back).draw).toEqual(
    contents.draw,
  );
});

test('by a passphrase: nothing shows, the right one opens, a wrong or no one does not', async () => {
  await writeSecret(at('pass'), secret, { passphrase, workFactor });
  expect(statSync(at('pass')).mode & 0o777).toBe(0o600);
  const bytes = readFileSync(at('pass'), 'latin1');
  for (const canary of ['key 1', 'whorl', contents.opening.owner_seed!]) expect(bytes).not.toContain(canary);
  expect((await readSecret(at('pass'), { passphrase })).reveal()).toEqual(contents);
  await expect(readSecret(at('pass'), { passphrase: new Secret('wrong') })).rejects.toThrow(
    /does not open with this passphrase/,
  );
  await expect(readSecret(at('pass'))).rejects.toThrow(/is encrypted with a passphrase: give its passphrase/);
});

test('to a recipient: its identity opens, another does not', async () => {
  const [identity, other] = [await generateIdentity(), await generateIdentity()];
  await writeSecret(at('rec'), secret, { recipients: [await identityToRecipient(identity)] });
  expect((await readSecret(at('rec'), { identity: new Secret(identity) })).reveal()).toEqual(contents);
  await expect(readSecret(at('rec'), { identity: new Secret(other) })).rejects.toThrow(
    /does not open with this identity/,
  );
  await expect(readSecret(at('rec'), { passphrase })).rejects.toThrow(/give its identity/);
  await expect(readSecret(at('rec'), { identity: new Secret('nonsense') })).rejects.toThrow(/not one of age/);
  await expect(writeSecret(at('x'), secret, { recipients: ['ssh-rsa AAAA'] })).rejects.toThrow(
    /not an age recipient/,
  );
});

test('every truncation of an encrypted file is refused, and every flipped byte', async () => {
  await writeSecret(at('whole'), secret, { passphrase, workFactor: 1 });
  const whole = readFileSync(at('whole'));
  for (let cut = 0; cut < whole.length; cut += cut < 400 ? 7 : 211) {
    writeFileSync(at('cut'), whole.subarray(0, cut));
    await expect(readSecret(at('cut'), { passphrase })).rejects.toMatchObject({ code: 'bad-secret' });
  }
  for (let i = 0; i < whole.length; i += i < 400 ? 5 : 173) {
    const flipped = Buffer.from(whole);
    flipped[i]! ^= 4;
    writeFileSync(at('flip'), flipped);
    await expect(readSecret(at('flip'), { passphrase })).rejects.toMatchObject({ code: 'bad-secret' });
  }
});

test('no flipped bit and no truncation of a plain file is accepted', async () => {
  await writeSecret(at('p'), secret);
  const whole = readFileSync(at('p'));
  for (let bit = 0; bit < whole.length * 8; bit += 149) {
    const flipped = Buffer.from(whole);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    writeFileSync(at('flip'), flipped);
    const back = await readSecret(at('flip')).then(
      (s) => s.reveal(),
      (error: unknown) => error,
    );
    if (back instanceof Error) expect(back).toMatchObject({ code: 'bad-secret' });
    else expect(back).toEqual(contents); // a flip between white space
  }
  for (let cut = 0; cut < whole.length - 2; cut += 101) {
    writeFileSync(at('cut'), whole.subarray(0, cut));
    await expect(readSecret(at('cut'))).rejects.toMatchObject({ code: 'bad-secret' });
  }
});

test.each<[string, string | Uint8Array, RegExp]>([
  [
    'another version',
    JSON.stringify({ format: 'whorl-secret', version: 3, sha256: '', contents: {} }),
    /version 3: this Whorl reads 1 and 2/,
  ],
  ['no version', JSON.stringify({ format: 'whorl-secret' }), /version none/],
  ['another file', JSON.stringify({ a: 1 }), /not a Whorl secret/],
  ['null', 'null', /not a Whorl secret/],
  ['binary', Uint8Array.of(0xff, 0xfe, 0), /not a Whorl secret/],
  ['an empty file', '', /not a Whorl secret/],
  ['a cut one', '{\n "format": "whorl-secret",\n "version": 1, "sha', /truncated or damaged/],
  [
    'a missing field',
    JSON.stringify({ format: 'whorl-secret', version: 1, sha256: '', contents: {} }),
    /field method/,
  ],
  [
    'an unknown field',
    JSON.stringify({ format: 'whorl-secret', version: 1, sha256: '', contents: {}, x: 1 }),
    /unknown field x/,
  ],
])('%s is refused in one line', async (_, data, message) => {
  writeFileSync(at('bad'), data);
  const error = await readSecret(at('bad')).catch((e: unknown) => e as Error);
  expect(error).toMatchObject({ code: 'bad-secret', message: expect.stringMatching(message) });
  expect((error as Error).message).not.toContain('\n');
});

test('a refusal never prints the value that is wrong', async () => {
  const text = JSON.stringify({
    format: 'whorl-secret',
    version: 1,
    sha256: '',
    contents: { ...contents, plan: { ...contents.plan, keys: 'CANARY' } },
  });
  writeFileSync(at('bad'), text);
  await expect(readSecret(at('bad'))).rejects.not.toThrow(/CANARY/);
});

test('a missing file and a folder are named', async () => {
  await expect(readSecret(at('nowhere'))).rejects.toMatchObject({ code: 'missing-file' });
  await expect(readSecret(folder)).rejects.toMatchObject({ code: 'bad-secret' });
});

test('an absurd scrypt work factor is refused before any work', async () => {
  await writeSecret(at('work'), secret, { passphrase, workFactor: 1 });
  for (const work of ['21', '63', '99999999999999999999']) {
    writeFileSync(
      at('bomb'),
      readFileSync(at('work'), 'latin1').replace(/(-> scrypt \S+) 1\n/, `$1 ${work}\n`),
      'latin1',
    );
    await expect(readSecret(at('bomb'), { passphrase })).rejects.toThrow(/more than 2\^20/);
  }
});

test('inspect shows size, claim and shapes, and nothing secret', async () => {
  await writeSecret(at('plain'), secret);
  await writeSecret(at('pass'), secret, { passphrase, workFactor });
  const closed = await inspectSecret(at('pass'));
  expect(closed).toMatchObject({ encrypted: 'passphrase', mode: '0600', inside: null });
  const open = await inspectSecret(at('plain'));
  expect(open).toMatchObject({
    encrypted: 'no',
    inside: { method: 'adapter', adapter: { A: [2] }, trainable_rows: 0 },
  });
  expect((await inspectSecret(at('pass'), { passphrase })).inside).toEqual(open.inside);
  const shown = JSON.stringify(open);
  const { owner_seed, salts } = contents.opening;
  for (const canary of ['key 1', 'ハリネズミ', owner_seed!, salts[0]!, contents.adapter!.tensors[0]!.data])
    expect(shown).not.toContain(canary);
});
