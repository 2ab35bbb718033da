// `whorl resume`: a job's result taken in by its folder alone, and what is refused of a folder.

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { launchFinetune, type UserFinetuneOptions, userFinetune } from '../../src/finetune/user-finetune.ts';
import { isWaiting, type WaitingJob } from '../../src/launch/job.ts';
import { resumeJob } from '../../src/resume/resume-job.ts';
import { whorl } from '../cli/whorl.ts';
import { standIn } from '../launch/stand-in.ts';

const LONG = 120_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-resume-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const python = standIn(scratch);
const data = join(scratch, 'rows.json');
writeFileSync(data, JSON.stringify([{ instruction: 'Count', input: '', output: 'One' }]));
const tuned = (name: string): UserFinetuneOptions => ({
  model: join(packageRoot(), 'assets/embedded/model'),
  data: relative('.', data),
  ...{ out: join(scratch, name), seed: 7n, lora: true, merge: true },
  settings: { epochs: 2, batch: 1, checkpoint_every: 0 },
});
const weights = (name: string) => readFileSync(join(scratch, name, 'model.safetensors'));

async function waiting(name: string): Promise<WaitingJob> {
  const job = await launchFinetune({ ...tuned(name), launch: { engine: 'torchrun' } });
  if (!isWaiting(job)) throw new Error('nothing waits');
  return job;
}

test(
  'by the job’s folder, its run or what is to be written: it waits, then goes on as the call that wrote it',
  async () => {
    const { job, id } = await waiting('tuned');
    for (const path of [job, dirname(job), join(scratch, 'tuned')])
      expect(await resumeJob({ job: path })).toMatchObject({
        kind: 'waiting',
        command: 'finetune',
        job: { id },
      });
    const ran = spawnSync('sh', [join(job, 'run.sh')], { env: { ...process.env, PYTHON: python } });
    expect(ran.status).toBe(0);
    const plan = { command: 'resume', writes: [{ path: join(scratch, 'tuned') }, {}, {}] };
    expect(await resumeJob({ job, dryRun: true })).toMatchObject(plan);
    expect(existsSync(join(scratch, 'tuned'))).toBe(false);
    const resumed = await resumeJob({ job });
    expect(resumed).toMatchObject({
      kind: 'finetune',
      report: { steps: 2, wrote: 'model', launched: { ranks: 1 } },
    });
    await userFinetune({ ...tuned('own'), data });
    expect(weights('tuned').equals(weights('own'))).toBe(true);
    expect(existsSync(dirname(job))).toBe(false);
  },
  LONG,
);

test(
  'the command runs it here; a call of other settings in between changes nothing of what is resumed',
  async () => {
    const { job } = await waiting('here');
    const other = { ...tuned('here'), lora: false, merge: false, launch: { engine: 'torchrun' as const } };
    await expect(launchFinetune(other)).rejects.toMatchObject({ code: 'mismatch' });
    const { code, out } = await whorl('resume', job, '--here', '--python', python, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ wrote: 'model', steps: 2 });
    expect(weights('here').equals(weights('own'))).toBe(true);
  },
  LONG,
);

test('a folder without a job, a damaged call, a changed job, and rows that a program gave', async () => {
  await expect(resumeJob({ job: scratch })).rejects.toMatchObject({
    code: 'missing-file',
    message: expect.stringContaining('holds no job that waits') as string,
  });
  const { job } = await waiting('refused');
  appendFileSync(join(job, 'train.py'), '\n');
  await expect(resumeJob({ job })).rejects.toMatchObject({
    code: 'changed',
    message: expect.stringContaining('train.py was changed') as string,
  });
  const order = join(dirname(job), 'order.json');
  const given = JSON.parse(readFileSync(order, 'utf8')) as object;
  writeFileSync(order, JSON.stringify({ ...given, command: 'fingerprint', options: { ownRows: true } }));
  await expect(resumeJob({ job })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('that a program gave') as string,
  });
  writeFileSync(order, JSON.stringify({ ...given, command: 'rm' }));
  await expect(resumeJob({ job })).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringContaining(order) as string,
  });
});
