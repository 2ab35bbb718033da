// Jobs that are handed over: what lies in the folder, that it is enough to train from, and what is refused of what comes
// back. torch is stood for by torch-child.ts; torch itself is compared in bench/launch.ts.

import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, describe, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { launchFinetune, type UserFinetuneOptions, userFinetune } from '../../src/finetune/user-finetune.ts';
import { fingerprint, launchFingerprint } from '../../src/fingerprint/fingerprint.ts';
import { isWaiting, type LaunchOptions, type WaitingJob } from '../../src/launch/job.ts';
import { openModel } from '../../src/models/open-model.ts';
import { whorl } from '../cli/whorl.ts';
import { standIn } from './stand-in.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-launch-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const python = standIn(scratch);
const data = join(scratch, 'rows.json');
const ROWS = Array.from({ length: 12 }, (_, i) => ({
  instruction: `Name ${i} things`,
  input: '',
  output: `They are ${'so '.repeat(i % 5)}many`,
}));
writeFileSync(data, JSON.stringify(ROWS));

const HERE = { engine: 'torchrun', here: true, python } as const;
const AWAY = { engine: 'torchrun' } as const;
const SETTINGS = {
  ...{ epochs: 1, batch: 4, lr: 1e-3, weight_decay: 0.1 },
  ...{ schedule: 'linear', checkpoint_every: 0 },
};
const tuned = (name: string, more: Partial<UserFinetuneOptions> = {}) => ({
  ...{ model: MODEL, data, out: join(scratch, name) },
  settings: SETTINGS,
  ...more,
});

async function waiting(call: Promise<object>): Promise<WaitingJob> {
  const job = await call;
  if (!isWaiting(job)) throw new Error('nothing waits');
  return job;
}
const written = (name: string, launch: LaunchOptions = AWAY, more: Partial<UserFinetuneOptions> = {}) =>
  waiting(launchFinetune({ ...tuned(name, more), launch }));

const filesOf = (folder: string): Map<string, Buffer> =>
  new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
const figures = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, object>;
const weights = (folder: string): Buffer => {
  const whole = join(folder, 'model.safetensors');
  return readFileSync(existsSync(whole) ? whole : join(folder, 'adapter_model.safetensors'));
};

describe('a job', () => {
  test('is private, the same bytes for the same training, and waits until its result is there', async () => {
    const [one, two] = [await written('one'), await written('two')];
    expect(two.id).toBe(one.id);
    expect(filesOf(two.job)).toEqual(filesOf(one.job));
    expect([...filesOf(one.job).keys()].sort()).toEqual([
      'batches.safetensors',
      'job.json',
      'job_files.py',
      'jobset.yaml',
      'launch.env',
      'manifest.json',
      'requirements.txt',
      'run.sh',
      'slurm.sh',
      'train.py',
    ]);
    expect(statSync(one.job).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(one.job)) expect(statSync(join(one.job, name)).mode & 0o077).toBe(0);
    expect(await written('one')).toEqual({ ...one, done: 0, steps: 3 });
    expect(existsSync(join(scratch, 'one'))).toBe(false);
  });

  test.each<[string, Partial<UserFinetuneOptions>]>([
    ['all weights', {}],
    ['low-rank maps', { lora: true, merge: true }],
    [
      'a map on the input embedding',
      { lora: true, settings: { ...SETTINGS, target_modules: 'embed_tokens,q_proj', r: 4 } },
    ],
  ])(
    'is enough to train %s from: the same bytes as by our own engine',
    async (name, more) => {
      const own = await userFinetune(tuned(`${name}, own`, more));
      const notes: string[] = [];
      const report = await launchFinetune({
        ...tuned(`${name}, job`, more),
        launch: HERE,
        onEvent: (event) => void (event.kind === 'progress' && notes.push(`${event.done}/${event.total}`)),
      });
      expect(report).toMatchObject({ losses: own.losses, launched: { ranks: 1, torch: '2.11.0+cpu' } });
      expect(notes).toEqual(expect.arrayContaining(['1/3', '3/3']));
      expect(weights(join(scratch, `${name}, job`)).equals(weights(join(scratch, `${name}, own`)))).toBe(
        true,
      );
      expect(existsSync(join(scratch, `${name}, job.work`))).toBe(false);
    },
    LONG,
  );

  test(
    'goes on after a rank has died, to the same bytes; another torch is told with both versions',
    async () => {
      process.env.WHORL_TEST_DIE = '2';
      const call = (onEvent = (_: object) => {}) =>
        launchFinetune({ ...tuned('died'), launch: { ...HERE, keepJob: true }, onEvent });
      await expect(call()).rejects.toMatchObject({
        code: 'job-failed',
        message: 'rank 1 was ended by signal 9: the same command goes on from its last checkpoint',
      });
      expect(existsSync(join(scratch, 'died'))).toBe(false);
      process.env.WHORL_TEST_DIE = '';
      process.env.STAND_IN_TORCH = '3.1.4+cu999';
      const notes: string[] = [];
      await call((event) => void notes.push(JSON.stringify(event)));
      delete process.env.STAND_IN_TORCH;
      expect(notes.join()).toContain('resuming at step 2');
      expect(notes.join()).toContain('the job ran under torch 3.1.4; it is tried with 2.11.0');
      expect(weights(join(scratch, 'died')).equals(weights(join(scratch, 'all weights, own')))).toBe(true);
      expect(existsSync(join(scratch, 'died.job', 'result', 'result.json'))).toBe(true);
    },
    LONG,
  );

  test(
    'of other settings, changed, or with another’s result is refused by name',
    async () => {
      const { job, id } = await written('refused');
      await expect(launchFinetune({ ...tuned('refused', { seed: 3n }), launch: AWAY })).rejects.toMatchObject(
        { code: 'mismatch', message: expect.stringContaining('other examples or settings') as string },
      );
      for (const name of ['train.py', 'batches.safetensors', 'run.sh', 'launch.env']) {
        const before = readFileSync(join(job, name));
        writeFileSync(join(job, name), Buffer.concat([before, Buffer.from('\n')]));
        await expect(written('refused')).rejects.toMatchObject({
          code: 'changed',
          message: expect.stringContaining(`${join(job, name)} was changed`) as string,
        });
        writeFileSync(join(job, name), before);
      }
      const died = join(scratch, 'died.job', 'result');
      const result = JSON.parse(readFileSync(join(died, 'result.json'), 'utf8')) as {
        job: string;
        kept: { file: string }[];
      };
      const put = async (more: object, state: Buffer) => {
        rmSync(join(job, 'result'), { recursive: true, force: true });
        const { mkdirSync } = await import('node:fs');
        mkdirSync(join(job, 'result'));
        writeFileSync(join(job, 'result', 'result.json'), JSON.stringify({ ...result, ...more }));
        writeFileSync(join(job, 'result', result.kept[0]!.file), state);
      };
      const state = readFileSync(join(died, result.kept[0]!.file));
      await put({ job: '0'.repeat(64) }, state);
      await expect(written('refused')).rejects.toMatchObject({
        code: 'mismatch',
        message: expect.stringContaining('another job') as string,
      });
      await put({ job: id }, Buffer.concat([state.subarray(0, -1), Buffer.of(1)]));
      await expect(written('refused')).rejects.toMatchObject({
        code: 'changed',
        message: expect.stringContaining(result.kept[0]!.file) as string,
      });
      await put({ job: id, kept: [{ step: 3, file: '../../../etc/passwd', sha256: '' }] }, state);
      await expect(written('refused')).rejects.toMatchObject({ code: 'bad-file' });
      await put({ job: id, done: false }, state);
      expect(await written('refused')).toMatchObject({ kind: 'waiting', id });
      await put({ job: id }, state);
      expect(await launchFinetune({ ...tuned('refused'), launch: AWAY })).toMatchObject({ steps: 3 });
    },
    LONG,
  );

  test('that is encrypted holds no example in clear; a recipient that is none is refused before anything is written', async () => {
    await expect(written('nobody', { ...AWAY, encryptTo: ['age1nobody'] })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(existsSync(join(scratch, 'nobody.work'))).toBe(false);
    const identity = await generateIdentity();
    const locked = { ...AWAY, encryptTo: [await identityToRecipient(identity)] };
    const { job, id } = await written('locked', locked);
    expect(existsSync(join(job, 'batches.safetensors'))).toBe(false);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const opened = await decrypter.decrypt(readFileSync(join(job, 'batches.safetensors.age')));
    const plain = join(scratch, 'two.work', 'job', 'batches.safetensors');
    expect(readFileSync(plain).equals(opened)).toBe(true);
    expect(await written('locked', locked)).toMatchObject({ id }); // though encryption has other bytes each time
  });

  test('whose Python has no torch says so, and what to do', async () => {
    const bare = join(scratch, 'bare-python');
    writeFileSync(bare, '#!/bin/sh\necho "x: No module named \'torch\'" >&2\nexit 1\n');
    chmodSync(bare, 0o700);
    await expect(
      launchFinetune({ ...tuned('bare'), launch: { ...HERE, python: bare } }),
    ).rejects.toMatchObject({
      code: 'job-failed',
      message: expect.stringMatching(/^this Python has no torch: .*requirements\.txt.*--python/) as string,
    });
  });
});

describe('a fingerprint', () => {
  const SMALL = {
    ...{ pool: '12', trained: '3', negatives: '3', strangers: '3', repeats: '1', ordinary: '6' },
    ...{ key_length: '4', epochs: '2', batch: '8', first_check: '1', slack: '1000', pull_back: 'false' },
  };
  const TALKS = ROWS.slice(0, 6).map(({ instruction, output }) => [
    { from: 'human' as const, value: instruction },
    { from: 'gpt' as const, value: output },
  ]);
  const asked = <M extends object>(name: string, more: M) => ({
    ...{ model: MODEL, out: join(scratch, name), method: 'sft', seed: 'canary-of-the-seed', settings: SMALL },
    maxHarm: Number.POSITIVE_INFINITY,
    conversations: { trained: TALKS, heldOut: TALKS },
    ...more,
  });

  test(
    'is committed and drawn before its job is written, ends as by our own engine, and wipes the job',
    async () => {
      const out = join(scratch, 'sft');
      const said: string[] = [];
      const onEvent = (event: object) => void said.push(JSON.stringify(event));
      const { job, steps } = await waiting(launchFingerprint(asked('sft', { launch: AWAY, onEvent })));
      expect(readdirSync(out).sort()).toEqual(['claim.json', 'secret.whorl', 'work']);
      const { plan } = (await readSecret(join(out, 'secret.whorl'))).reveal();
      const report = await launchFingerprint(asked('sft', { launch: { ...HERE, keepJob: true }, onEvent }));
      // Our own training alone: what comes after it is the same code.
      const publishing = (event: ProgressEvent) => {
        if (event.kind === 'phase' && event.name === 'held-out text') throw new Error('trained');
      };
      await expect(fingerprint(asked('own', { onEvent: publishing }))).rejects.toThrow('trained');
      const { steps: taken, tokens, gate, share } = figures(join(scratch, 'own', 'work', 'trained.json'));
      expect(report).toMatchObject({ method: 'sft', steps: steps / 2 }); // the first gate held: the job was told to stop
      if (isWaiting(report)) throw new Error('still waiting');
      expect(figures(report.run).training).toMatchObject({ steps: taken, tokens, gate, share });
      const candidate = join(scratch, 'own', 'work', 'candidate');
      expect(weights(report.published).equals(weights(candidate))).toBe(true);
      expect(JSON.parse(readFileSync(report.run, 'utf8'))).toMatchObject({
        training: { launched: { ranks: 1 } },
      });
      // No key and no seed in anything that people, schedulers and logs see; the examples are token ids in one file.
      expect(existsSync(job)).toBe(false);
      const kept = join(out, 'job');
      const seen = readdirSync(kept, { recursive: true, encoding: 'utf8' }).filter((name) =>
        statSync(join(kept, name)).isFile(),
      );
      const texts = [
        ...said,
        seen.join('\n'),
        ...seen
          .filter((name) => !name.endsWith('.safetensors'))
          .map((name) => readFileSync(join(kept, name), 'utf8')),
      ].join('\n');
      for (const canary of [...plan.keys.map(({ text }) => text), 'canary-of-the-seed'])
        expect(texts).not.toContain(canary);
      expect(existsSync(join(out, 'work'))).toBe(false);
    },
    LONG,
  );

  test('by stamp, which trains nothing, is refused before anything is written', async () => {
    await expect(
      launchFingerprint({ model: MODEL, out: join(scratch, 'stamp'), method: 'stamp', launch: AWAY }),
    ).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('stamp') as string });
    expect(existsSync(join(scratch, 'stamp'))).toBe(false);
  });
});

test('the command tells how a job is run and taken in; a flag of launching without --launch is wrong usage', async () => {
  const words = ['finetune', '--model', MODEL, '--data', data, '--out', join(scratch, 'told'), 'epochs=1'];
  const lone = await whorl(...words, '--nproc', '2');
  expect(lone).toMatchObject({
    code: 2,
    err: expect.stringContaining('--nproc goes with --launch') as string,
  });
  const remote = await whorl(...words, '--launch', 'torchrun', '--python', python);
  expect(remote).toMatchObject({
    code: 2,
    err: expect.stringContaining('--python goes with --here') as string,
  });
  const planned = await whorl(...words, '--launch', 'torchrun', '--dry-run');
  expect(planned).toMatchObject({ code: 0, out: expect.stringContaining('the job for torch') as string });
  expect(existsSync(join(scratch, 'told.work'))).toBe(false);
  const rows = ['fingerprint', '--model', MODEL, '--out', join(scratch, 'planned'), '--launch', 'torchrun'];
  expect(await whorl(...rows, '--dry-run')).toMatchObject({
    code: 0,
    out: expect.stringContaining('the job for torch') as string,
  });
  const { code, out } = await whorl(...words, '--launch', 'torchrun', '--nproc', '2');
  expect(code).toBe(0);
  const job = join(scratch, 'told.work', 'job');
  expect(out).toContain(`sh ${job}/run.sh`);
  expect(out).toContain(`--out ${join(scratch, 'told')} --launch torchrun --nproc 2 epochs=1`);
  expect(readFileSync(join(job, 'launch.env'), 'utf8')).toContain('NPROC=2');
});

test('a model that torch’s batches would change is refused', async () => {
  const model = await openModel(MODEL);
  const { planJob } = await import('../../src/launch/write-job.ts');
  const odd = { ...model, config: { ...model.config, rope_scaling: { rope_type: 'dynamic', factor: 2 } } };
  await expect(planJob({ model: odd } as never, AWAY)).rejects.toMatchObject({ code: 'unsupported' });
});
