// Claims and secrets of version 1 made by another implementation (goldens/claims/make.py): they must open for ever,
// with the draw that it drew, and with not one bit changed.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { Secret } from '../../src/base/secret.ts';
import { decodeAdapter } from '../../src/claim/adapter.ts';
import { canonicalJson } from '../../src/claim/canonical.ts';
import { parseClaim } from '../../src/claim/claim.ts';
import { keyRoles, openClaim } from '../../src/claim/open.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { secretSchema } from '../../src/claim/secret-contents.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { decide } from '../../src/verify/verdict.ts';

const root = new URL('../../goldens/claims/', import.meta.url);
const ours = new URL('../fixtures/claims-v1/', import.meta.url); // by the last version that made such claims
const folders = readdirSync(root).filter((name) => name.startsWith('v1-'));
const at = (folder: string, file: string): string => new URL(`${folder}/${file}`, root).pathname;
const claimOf = (folder: string) => readFileSync(at(folder, 'claim.json'), 'utf8');

test('there are fixtures of every draw source and kind', () => {
  expect(folders.sort()).toEqual(['v1-after-draw', 'v1-answers', 'v1-beacon', 'v1-membership', 'v1-picked']);
});

describe.each(folders)('%s', (folder) => {
  test('opens, and the draw made anew is the recorded one', async () => {
    const secret = (await readSecret(at(folder, 'secret.whorl'))).reveal();
    const opened = openClaim(parseClaim(claimOf(folder)), secret);
    expect(opened.draw).toEqual(secret.draw);
    expect(keyRoles(opened)).toHaveLength(opened.plan.keys.length);
  });

  test('no flipped bit of claim.json is accepted', async () => {
    const secret = (await readSecret(at(folder, 'secret.whorl'))).reveal();
    const bytes = readFileSync(at(folder, 'claim.json'));
    const meaning = canonicalJson(parseClaim(bytes.toString()));
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        openClaim(parseClaim(flipped.toString()), secret);
        // The one way through: a flip between white space, which means the same.
        expect(canonicalJson(JSON.parse(flipped.toString()))).toBe(meaning);
      } catch (error) {
        expect(error).toBeInstanceOf(WhorlError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(bytes.length * 8 - 40);
  });

  test('no changed value of the committed parts of the secret is accepted, checksum or not', async () => {
    const secret = (await readSecret(at(folder, 'secret.whorl'))).reveal();
    const claim = parseClaim(claimOf(folder));
    let tried = 0;
    for (const part of ['plan', 'bindings', 'opening', 'draw', 'randomness', 'adapter'] as const) {
      if (part === 'adapter' && claim.private_part !== 'committed') continue; // bound to nothing, and never exact
      const before = JSON.stringify(secret[part]);
      for (const changed of changes(secret[part])) {
        const result = secretSchema.safeParse({ ...secret, [part]: changed });
        if (!result.success || JSON.stringify(changed) === before) continue;
        tried++;
        const open = () => openClaim(claim, result.data);
        if (part === 'adapter' && sameAdapter(result.data, secret)) expect(open).not.toThrow();
        else expect(open, `${part}: ${JSON.stringify(changed)}`).toThrow(WhorlError);
      }
    }
    expect(tried).toBeGreaterThan(50);
  });
});

// Tensors in another order, or base64 with other padding bits, are the same adapter.
function sameAdapter({ adapter: a }: SecretContents, { adapter: b }: SecretContents): boolean {
  const bytes = (record: typeof a) =>
    record!.tensors
      .map(({ name, shape, data }) => [name, shape, Buffer.from(data, 'base64').toString('hex')].join())
      .sort();
  return JSON.stringify([a!.settings, bytes(a)]) === JSON.stringify([b!.settings, bytes(b)]);
}

// The value with one leaf of it changed, for each leaf.
function* changes(value: unknown): Generator<unknown> {
  if (typeof value === 'string') {
    for (let i = 0; i < Math.min(value.length, 70); i++) {
      const code = value.charCodeAt(i);
      yield value.slice(0, i) + String.fromCharCode(code ^ 1) + value.slice(i + 1);
    }
  } else if (typeof value === 'number') {
    yield value + 1;
    yield value / 2;
  } else if (typeof value === 'boolean') yield !value;
  else if (Array.isArray(value)) {
    yield value.slice(1);
    yield [...value, ...value.slice(0, 1)];
    if (value.length > 1) yield [...value].reverse();
    for (const [i, item] of value.entries())
      for (const changed of changes(item)) yield value.map((old: unknown, j) => (i === j ? changed : old));
  } else if (value !== null && typeof value === 'object')
    for (const [name, item] of Object.entries(value))
      for (const changed of changes(item)) yield { ...value, [name]: changed };
}

test.each([
  ['rows', 'drawn-answers'],
  ['adapter', 'drawn-membership'],
])(
  'a claim that Whorl 0.1.0 wrote by %s opens, tokenizer, config and stretched seed with it',
  async (name, kind) => {
    const secret = (await readSecret(new URL(`${name}/secret.whorl`, ours).pathname)).reveal();
    const claim = parseClaim(readFileSync(new URL(`${name}/claim.json`, ours), 'utf8'));
    const opened = openClaim(claim, secret);
    expect(opened).toMatchObject({
      kind,
      draw: secret.draw,
      claim: { version: 1, vanilla: { tokenizer: expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
    });
    expect(
      decide(
        opened,
        opened.plan.keys.map(() => 'hm'),
      ),
    ).toMatchObject({ exact: true, p_value: 1 });
  },
);

test('claim and secret of two runs do not go together', async () => {
  const secret = (await readSecret(at('v1-answers', 'secret.whorl'))).reveal();
  expect(() => openClaim(parseClaim(claimOf('v1-membership')), secret)).toThrow(
    /claim\.json does not belong/,
  );
});

test('the locked copies of v1-answers hold the plain one', async () => {
  const plain = (await readSecret(at('v1-answers', 'secret.whorl'))).reveal();
  const passphrase = new Secret('correct horse battery staple');
  const identity = new Secret('AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX');
  const open = async (file: string, unlock: Parameters<typeof readSecret>[1]): Promise<SecretContents> =>
    (await readSecret(at('v1-answers', file), unlock)).reveal();
  expect(await open('secret-passphrase.whorl', { passphrase })).toEqual(plain);
  expect(await open('secret-recipient.whorl', { identity })).toEqual(plain);
});

test('the adapter comes out as it went in', async () => {
  const secret = (await readSecret(at('v1-membership', 'secret.whorl'))).reveal();
  const { settings, tensors } = decodeAdapter(secret.adapter!);
  expect(settings).toEqual({ kind: 'low-rank', rank: 1, scale: 4, residual: true });
  expect(tensors.B).toEqual({ shape: [2, 1], data: Float32Array.of(0.5, -0.25) });
});
