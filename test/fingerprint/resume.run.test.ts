// An interrupted run: what it keeps to go on from is under the secret's lock, and its claim is never replaced by another.

import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Secret } from '../../src/base/secret.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { type FingerprintOptions, fingerprint } from '../../src/fingerprint/fingerprint.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-resume-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const MINUTES = 600_000;

const model = join(scratch, 'model');
cpSync(EMBEDDED, model, { recursive: true });

const SETTINGS = {
  ...{
    trained: '4',
    candidates: '32',
    steps: '2',
    first_check: '2',
    check_below: '1000',
    gate_contexts: '0',
  },
  ...{ bare_slack: '4', kl_target: '1000', reference_positions: '2', primary_positions: '8' },
};
const SEED = 'a word nobody else would say';
const run = (name: string, more: Partial<FingerprintOptions> = {}) =>
  fingerprint({
    model,
    out: join(scratch, name),
    settings: SETTINGS,
    maxHarm: Number.POSITIVE_INFINITY,
    ...more,
  });

/** Up to the training, then stopped. */
async function stopped(name: string, more: Partial<FingerprintOptions> = {}): Promise<void> {
  const going = run(name, {
    ...more,
    onEvent: (event) => {
      if (event.kind === 'phase' && event.name === 'training') throw new Error('stopped');
    },
  });
  await expect(going).rejects.toThrow('stopped');
}

const start = (name: string): Buffer => readFileSync(join(scratch, name, 'work/start.json'));
const claim = (name: string): string => readFileSync(join(scratch, name, 'claim.json'), 'utf8');

test(
  'without a lock a run starts in clear, for its owner alone, and the seed lies there stretched',
  async () => {
    await stopped('plain', { seed: SEED });
    expect(statSync(join(scratch, 'plain/work/start.json')).mode & 0o777).toBe(0o600);
    const kept = JSON.parse(start('plain').toString()) as Record<string, unknown>;
    expect(kept.from_text).toEqual({ kdf: 'scrypt', n: 2 ** 17, r: 8, p: 1 });
    expect(JSON.parse(claim('plain'))).toMatchObject({
      draw: { source: 'owner-seed', from_text: kept.from_text },
    });
  },
  MINUTES,
);

test(
  'the same text gives the same claim, another text another',
  async () => {
    await stopped('same', { seed: SEED });
    await stopped('other', { seed: `${SEED}!` });
    const root = (name: string) => (JSON.parse(claim(name)) as { root: string }).root;
    expect(root('same')).toBe(root('plain'));
    expect(root('other')).not.toBe(root('plain'));
  },
  MINUTES,
);

test(
  'under a passphrase nothing of it can be read; with the passphrase it goes on to the same claim',
  async () => {
    const lock = { passphrase: new Secret('four unlikely words here'), workFactor: 10 };
    await stopped('locked', { lock, seed: SEED });
    const bytes = start('locked');
    for (const word of [SEED, '"seed"', 'created', model, ...seedsOf('plain')])
      expect(bytes.includes(word)).toBe(false);
    const before = claim('locked');
    await expect(run('locked', { seed: SEED })).rejects.toMatchObject({ code: 'bad-secret' });
    const wrong = { passphrase: new Secret('four other words'), workFactor: 10 };
    await expect(run('locked', { lock: wrong, seed: SEED })).rejects.toMatchObject({ code: 'bad-secret' });
    await run('locked', { lock, seed: SEED });
    expect(claim('locked')).toBe(before);
  },
  MINUTES,
);

const seedsOf = (name: string): string[] => {
  const { seed } = JSON.parse(start(name).toString()) as { seed: string };
  return [seed, Buffer.from(seed, 'hex').toString('base64')];
};

test(
  'kept for a recipient, a run of random seed goes on with the identity and not without',
  async () => {
    const identity = await generateIdentity();
    const lock = { recipients: [await identityToRecipient(identity)] };
    await stopped('recipient', { lock });
    expect(start('recipient').includes('created')).toBe(false);
    const before = claim('recipient');
    await expect(run('recipient', { lock })).rejects.toThrow(
      /start\.json is encrypted with a recipient: give its identity/,
    );
    const unlock = { identity: new Secret(identity) };
    const { secret } = await run('recipient', { lock, unlock });
    expect(claim('recipient')).toBe(before);
    expect((await readSecret(secret, unlock)).reveal().published).not.toBeNull();
  },
  MINUTES,
);

test(
  'a vanilla model that changed meanwhile would have another root: the run stops, and says what differs',
  async () => {
    await stopped('moved', { seed: SEED });
    const before = claim('moved');
    const path = join(model, 'tokenizer_config.json');
    const was = readFileSync(path);
    writeFileSync(path, `${was.toString()} `);
    try {
      await expect(run('moved', { seed: SEED })).rejects.toMatchObject({
        code: 'mismatch',
        message: expect.stringMatching(
          /claim\.json is not what this run would commit to: .*tokenizer of the vanilla model \(/,
        ) as string,
      });
    } finally {
      writeFileSync(path, was);
    }
    expect(claim('moved')).toBe(before);
    rmSync(join(scratch, 'moved/claim.json'));
    await expect(run('moved', { seed: SEED })).rejects.toThrow(/its claim\.json is gone/);
  },
  MINUTES,
);

test(
  'a claim of another version of this software stops it too',
  async () => {
    const path = join(scratch, 'plain/claim.json');
    const changed = claim('plain').replace(/"version": "\d+\.\d+\.\d+[^"]*"/, '"version": "0.0.9"');
    writeFileSync(path, changed);
    await expect(run('plain', { seed: SEED })).rejects.toThrow(/software \(whorl 0\.0\.9, now whorl /);
    expect(claim('plain')).toBe(changed);
  },
  MINUTES,
);
