// Jobs of `rows` and `adapter`: what their two files hold is enough to train from, to the same bytes as by our own engine.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, describe, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import type { GivenSettings } from '../../src/base/given-settings.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { fingerprint, launchFingerprint } from '../../src/fingerprint/fingerprint.ts';
import { isWaiting, type WaitingJob } from '../../src/launch/job.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { loadCheckpoint } from '../../src/train/checkpoint.ts';
import { standIn } from './stand-in.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-launch-rows-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const HERE = { engine: 'torchrun', here: true, python: standIn(scratch) } as const;
const AWAY = { engine: 'torchrun' } as const;

async function waiting(call: Promise<object>): Promise<WaitingJob> {
  const job = await call;
  if (!isWaiting(job)) throw new Error('nothing waits');
  return job;
}
const figures = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, object>;
const weights = (folder: string): Buffer => readFileSync(join(folder, 'model.safetensors'));

describe('a fingerprint of rows', () => {
  const OPEN = {
    kl_target: '1000',
    check_below: '1000000',
    primary_positions: '12',
    reference_positions: '2',
  };
  const asked = <M extends object>(method: string, name: string, settings: GivenSettings, more: M) => ({
    ...{ model: MODEL, out: join(scratch, name), method, seed: 'rows', maxMinutes: 0, settings },
    maxHarm: Number.POSITIVE_INFINITY,
    ...more,
  });

  test(
    'by torch: the rows that our own engine publishes, under contexts and noise; a first look that holds ends it',
    async () => {
      const publishing = (event: ProgressEvent) => {
        if (event.kind === 'phase' && event.name === 'measuring') throw new Error('published');
      };
      const settings = {
        ...{ ...OPEN, trained: '4', key_length: '4', steps: '6', first_check: '2', check_every: '2' },
        ...{ variety: '100', prefixes: '3', refresh: '2', noise: '0.2', common: 'true', bare_slack: '4' },
      };
      const { job, steps } = await waiting(
        launchFingerprint(asked('rows', 'torch', settings, { launch: AWAY })),
      );
      expect(steps).toBe(6);
      const seen = { onEvent: publishing }; // what comes after it is the same code
      await expect(
        launchFingerprint(asked('rows', 'torch', settings, { launch: HERE, ...seen })),
      ).rejects.toThrow('published');
      await expect(fingerprint(asked('rows', 'by ourselves', settings, seen))).rejects.toThrow('published');
      const published = (name: string) => weights(join(scratch, name, 'published'));
      expect(published('torch').equals(published('by ourselves'))).toBe(true);
      expect(published('torch').equals(weights(MODEL))).toBe(false);
      const result = figures(join(job, 'result', 'result.json'));
      expect(result).toMatchObject({ steps: 2, done: true });
    },
    LONG,
  );

  test(
    'by torch with a private map: the state that our own training ends with where nothing holds; then it is said',
    async () => {
      const settings = {
        ...{ ...OPEN, pool: '12', trained: '3', negatives: '3', key_length: '4', steps: '3' },
        ...{ first_check: '1000', noise: '0.2', common: 'true', hushed: '3' },
      };
      const job = launchFingerprint(asked('adapter', 'map', settings, { launch: HERE }));
      await expect(job).rejects.toMatchObject({
        code: 'not-reached',
        message: expect.stringMatching(/^after 3 steps: .*without --launch/) as string,
      });
      await expect(fingerprint(asked('adapter', 'map, own', settings, {}))).rejects.toMatchObject({
        code: 'not-reached',
      });
      const { state } = loadCheckpoint(join(scratch, 'map, own', 'work', 'checkpoint'));
      const path = join(scratch, 'map', 'work', 'job', 'result', 'step-00000003.safetensors');
      const { tensors } = readSafetensorsHeader(path);
      for (const name of ['own', 'common'])
        expect(readTensor(tensors.get(name)!).data).toEqual(state.slots.get(name)!.value);
      expect(state.slots.get('own')!.value.some((x) => x !== 0)).toBe(true);
    },
    LONG,
  );

  test('holds keys, map and noise in two files, both of which are encrypted for a recipient', async () => {
    const settings = { ...OPEN, trained: '4', key_length: '4', steps: '2', noise: '0.2' };
    const plain = await waiting(launchFingerprint(asked('rows', 'plain', settings, { launch: AWAY })));
    const recipient = await identityToRecipient(await generateIdentity());
    const launch = { ...AWAY, encryptTo: [recipient] };
    const locked = await waiting(launchFingerprint(asked('rows', 'for one', settings, { launch })));
    const holds = (job: string) => readdirSync(job).filter((name) => name.includes('.safetensors'));
    expect(holds(plain.job)).toEqual(['batches.safetensors', 'overlay.safetensors']);
    expect(holds(locked.job)).toEqual(['batches.safetensors.age', 'overlay.safetensors.age']);
    // Tokens of a key one after another, as a job's arrays hold them: in the plain job's examples, and nowhere else.
    const holding = async (name: string, job: string): Promise<string[]> => {
      const { plan } = (await readSecret(join(scratch, name, 'secret.whorl'))).reveal();
      const canaries = plan.keys.flatMap(({ text, tokens }) => [
        Buffer.from(text),
        Buffer.from(Int32Array.from(tokens).buffer),
      ]);
      return readdirSync(job).filter((file) => {
        const bytes = readFileSync(join(job, file));
        return canaries.some((canary) => bytes.includes(canary));
      });
    };
    expect(await holding('plain', plain.job)).toEqual(['batches.safetensors']);
    expect(await holding('for one', locked.job)).toEqual([]);
  });
});
