// `whorl resume` of a fingerprint: what lies beside its job is nothing secret, and its lock is asked for.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { Secret } from '../../src/base/secret.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { launchFingerprint } from '../../src/fingerprint/fingerprint.ts';
import { isWaiting } from '../../src/launch/job.ts';
import { resumeJob } from '../../src/resume/resume-job.ts';
import { standIn } from '../launch/stand-in.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-resume-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('a locked run goes on with its passphrase alone, to a secret under the same lock', async () => {
  const out = join(scratch, 'run');
  const lock = { passphrase: new Secret('a passphrase that is a canary') };
  const settings = {
    ...{ kl_target: 1000, check_below: 1_000_000, primary_positions: 12, reference_positions: 2 },
    ...{ trained: 4, key_length: 4, steps: 2, first_check: 1, check_every: 1, bare_slack: 4, noise: 0.2 },
  };
  const job = await launchFingerprint({
    ...{ model: join(packageRoot(), 'assets/embedded/model'), out, method: 'rows', settings, lock },
    ...{ seed: 'a seed that is a canary', maxHarm: Number.POSITIVE_INFINITY, maxMinutes: 0 },
    launch: { engine: 'torchrun' },
  });
  if (!isWaiting(job)) throw new Error('nothing waits');
  const order = join(out, 'work', 'order.json');
  expect(statSync(order).mode & 0o777).toBe(0o600);
  expect(readFileSync(order, 'utf8')).not.toContain('canary');
  const here = { job: job.job, here: true, python: standIn(scratch) };
  await expect(resumeJob(here)).rejects.toMatchObject({ code: 'bad-secret' });
  const onEvent = (event: ProgressEvent) => {
    if (event.kind === 'phase' && event.name === 'measuring') throw new Error('published');
  };
  await expect(resumeJob({ ...here, lock, onEvent })).rejects.toThrow('published');
  expect(existsSync(join(out, 'published', 'config.json'))).toBe(true);
  const secret = join(out, 'secret.whorl');
  await expect(readSecret(secret)).rejects.toMatchObject({ code: 'bad-secret' });
  expect((await readSecret(secret, lock)).reveal().rows?.ids).toHaveLength(16);
});
