// A folder that somebody put where a fine-tuning is to write: what the fine-tuning has done so far, or a job of it, stays.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { launchFinetune, userFinetune } from '../../src/finetune/user-finetune.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-taken-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const data = join(scratch, 'rows.json');
writeFileSync(data, JSON.stringify([{ instruction: 'Count', input: '', output: 'One' }]));
const model = join(packageRoot(), 'assets/embedded/model');
const tuned = (name: string) => ({
  ...{ model, data, out: join(scratch, name) },
  settings: { epochs: 2, batch: 1, checkpoint_every: 0 },
});
const LONG = 120_000;

test('a job that waits is left where it is, by the call that wrote it and by one without it', async () => {
  const asked = tuned('job');
  await launchFinetune({ ...asked, launch: { engine: 'torchrun' } });
  const manifest = join(`${asked.out}.work`, 'job', 'manifest.json');
  const before = readFileSync(manifest);
  mkdirSync(asked.out);
  const refused = { code: 'exists' };
  await expect(launchFinetune({ ...asked, launch: { engine: 'torchrun' } })).rejects.toMatchObject(refused);
  await expect(userFinetune(asked)).rejects.toMatchObject(refused);
  expect(readFileSync(manifest)).toEqual(before);
});

test(
  'so is the checkpoint of a training that was stopped',
  async () => {
    const asked = tuned('own');
    const stop = new AbortController();
    const onEvent = (event: { readonly kind: string }) => event.kind === 'progress' && stop.abort();
    await expect(userFinetune({ ...asked, onEvent, signal: stop.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    const checkpoint = join(`${asked.out}.work`, 'state.ckpt');
    expect(existsSync(checkpoint)).toBe(true);
    mkdirSync(asked.out);
    await expect(userFinetune(asked)).rejects.toMatchObject({ code: 'exists' });
    expect(existsSync(checkpoint)).toBe(true);
    rmSync(asked.out, { recursive: true });
    expect(await userFinetune(asked)).toMatchObject({ steps: 2 });
    expect(existsSync(`${asked.out}.work`)).toBe(false);
  },
  LONG,
);

test(
  'what a run left that ended between writing its folder and clearing up is cleared up',
  async () => {
    const asked = tuned('ended');
    const work = `${asked.out}.work`;
    await userFinetune(asked);
    mkdirSync(work);
    writeFileSync(join(work, 'writing'), '');
    writeFileSync(join(work, 'state.ckpt'), 'a training that is over');
    await expect(userFinetune(asked)).rejects.toMatchObject({ code: 'exists' });
    expect(existsSync(work)).toBe(false);
  },
  LONG,
);
