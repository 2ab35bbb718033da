// A suspect asked by a job: the verdict is that of asking it here, the job is private and wiped, and what is not its answer is
// refused by name. torch is stood for by ask-child.ts; transformers' own answers are compared in bench/ask.ts.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random-source.ts';
import { Secret } from '../../src/base/secret.ts';
import { adapterDigest, encodeMap } from '../../src/claim/adapter.ts';
import { readSecret, writeSecret } from '../../src/claim/secret-file.ts';
import type { LaunchOptions } from '../../src/launch/job.ts';
import { resumeJob } from '../../src/resume/resume-job.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import type { VerifyOptions, VerifyReport } from '../../src/verify/verify.ts';
import { launchVerify, verify } from '../../src/verify/verify.ts';
import { bindings } from '../claim/plans.ts';
import { finished, ROWS } from '../cli/finished-run.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';
import { standIn } from '../launch/stand-in.ts';

const LONG = 120_000;
const WIDTH = 32;
let folder: string;
let vanilla: string;
let python: string;
let run: RunFolder;
const AWAY: LaunchOptions = { engine: 'torchrun' };
const here = (more: Partial<LaunchOptions> = {}): LaunchOptions => ({ ...AWAY, here: true, python, ...more });

const jobsOf = ({ path }: RunFolder): string[] =>
  existsSync(join(path, 'asks')) ? readdirSync(join(path, 'asks')).map((id) => join(path, 'asks', id)) : [];

async function waiting(options: VerifyOptions & { readonly launch: LaunchOptions }): Promise<string> {
  const job = await launchVerify(options);
  if ('verdict' in job) throw new Error('nothing waits');
  return job.job;
}

/** What both must say alike. */
function said(report: VerifyReport | object): object {
  const { seconds: _, launched, warnings, ...rest } = report as VerifyReport;
  const [byJob, own] = [true, false].map((is) =>
    warnings.filter((line) => /files of a job/.test(line) === is),
  );
  expect(byJob).toHaveLength(launched ? 1 : 0);
  return { ...rest, warnings: own };
}

beforeAll(async () => {
  folder = scratch();
  vanilla = tinyModel(folder);
  python = standIn(folder, 'ask-child.ts');
  run = await finished(join(folder, 'run'), vanilla, bindings);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a suspect as it is', () => {
  let own: VerifyReport;
  beforeAll(async () => {
    own = await verify({ secret: run.secret, suspect: run.published });
  });

  test(
    'waits in a private folder, and whorl resume gives the verdict of asking it here',
    async () => {
      const asked = {
        secret: relative('.', run.secret),
        suspect: relative('.', run.published),
        launch: AWAY,
      };
      const job = await waiting(asked);
      const work = join(job, '..');
      expect(jobsOf(run).map((path) => join(path, 'job'))).toEqual([join(process.cwd(), job)]);
      for (const path of [work, job]) expect(statSync(path).mode & 0o777).toBe(0o700);
      for (const name of readdirSync(job)) expect(statSync(join(job, name)).mode & 0o077).toBe(0);
      expect(await resumeJob({ job: work })).toMatchObject({
        kind: 'waiting',
        command: 'verify',
        job: { prompts: 8, done: 0, encrypted: false },
      });
      const ran = spawnSync('sh', [join(job, 'run.sh')], { env: { ...process.env, PYTHON: python } });
      expect(String(ran.stderr)).toBe('');
      const resumed = await resumeJob({ job });
      if (resumed.kind !== 'verify') throw new Error(resumed.kind);
      expect(said(resumed.report)).toEqual(said(own));
      expect(resumed.report.launched).toEqual({
        ...{ torch: '2.11.0+cpu', transformers: '5.24.0', device: 'stand-in', dtype: 'float32' },
      });
      expect(existsSync(join(run.path, 'asks'))).toBe(false);
    },
    LONG,
  );

  test(
    'another torch is told with both versions; another dtype is no evidence, and says so',
    async () => {
      process.env.STAND_IN_TORCH = '3.1.4+cu999';
      const notes: string[] = [];
      const report = await launchVerify({
        ...{ secret: run.secret, suspect: run.published, launch: here({ dtype: 'bfloat16' }) },
        onEvent: (event) => void notes.push(JSON.stringify(event)),
      });
      delete process.env.STAND_IN_TORCH;
      expect(notes.join()).toContain('the job ran under torch 3.1.4; it is tried with 2.11.0');
      expect((report as VerifyReport).launched).toMatchObject({ torch: '3.1.4+cu999', dtype: 'bfloat16' });
      expect((report as VerifyReport).warnings.join()).toContain('answered in bfloat16');
      expect((report as VerifyReport).multiplicity).toBe(5 * own.multiplicity);
    },
    LONG,
  );

  test(
    'a changed file is named, another job’s answers are refused, and a kept job gives the verdict again',
    async () => {
      const asked = { secret: run.secret, suspect: run.published, launch: here({ keepJob: true }) };
      expect(said(await launchVerify(asked))).toEqual(said(own));
      const [work] = jobsOf(run);
      const job = join(work!, 'job');
      // Nothing is asked twice: there is no such Python.
      expect(said(await launchVerify({ ...asked, launch: here({ keepJob: true, python: '/no' }) }))).toEqual(
        said(own),
      );
      for (const name of ['prompts.safetensors', 'ask.py', 'ask.json', 'launch.env', 'result/answers.json']) {
        const before = readFileSync(join(job, name));
        appendFileSync(join(job, name), ' ');
        await expect(resumeJob({ job })).rejects.toMatchObject({
          code: 'changed',
          message: expect.stringContaining(join(job, name)) as string,
        });
        writeFileSync(join(job, name), before);
      }
      const result = readFileSync(join(job, 'result', 'result.json'), 'utf8');
      const { job: id } = JSON.parse(result) as { job: string };
      writeFileSync(join(job, 'result', 'result.json'), result.replace(id, '0'.repeat(64)));
      await expect(resumeJob({ job })).rejects.toMatchObject({ code: 'mismatch' });
      // Another suspect's job is another folder: answers of one are never the other's.
      const other = await waiting({ ...asked, suspect: vanilla, launch: AWAY });
      expect(other).not.toBe(job);
      rmSync(join(run.path, 'asks'), { recursive: true });
    },
    LONG,
  );

  test(
    'the command: no verdict yet is no exit code of one, and the flags say what they go with',
    async () => {
      const words = ['verify', '--secret', run.secret, '--suspect', run.published];
      const waits = await whorl(...words, '--launch', 'torchrun');
      const [work] = jobsOf(run);
      expect(waits).toMatchObject({
        code: 5,
        out: expect.stringContaining(`sh ${work}/job/run.sh`) as string,
      });
      expect(waits.err).toContain('whoever has the job has the keys');
      const still = await whorl('resume', work!, '--json');
      expect(still.code).toBe(5);
      expect(JSON.parse(still.out)).toMatchObject({ kind: 'waiting', prompts: 8 });
      const resumed = await whorl('resume', work!, '--here', '--python', python);
      const direct = await whorl(...words);
      expect(resumed.code).toBe(direct.code);
      expect(resumed.out).toContain('transformers 5.24.0, torch 2.11.0+cpu, float32 on stand-in');
      const planned = await whorl(...words, '--launch', 'torchrun', '--dry-run');
      expect(planned).toMatchObject({
        code: 0,
        out: expect.stringContaining(join(run.path, 'asks')) as string,
      });
      expect(jobsOf(run)).toEqual([]);
      const list = join(folder, 'list.txt');
      writeFileSync(list, `${run.published}\n`);
      for (const [more, about] of [
        [['--here'], '--here goes with --launch'],
        [['--launch', 'ray'], 'goes with a list'],
        [['--launch', 'torchrun', '--python', 'x'], '--python goes with --here'],
        [['--launch', 'torchrun', '--ranks'], '--ranks'],
        [['--launch', 'torchrun', '--sequential'], '--sequential'],
        [['--launch', 'torchrun', '--precision', 'int8'], '--precision int8'],
        [
          ['--launch', 'torchrun', '--job-dtype', 'bfloat16', '--certificate', 'c.json', '--key', 'k.pem'],
          'a certificate of answers in bfloat16',
        ],
      ] as const)
        expect(await whorl(...words, ...more)).toMatchObject({
          code: 2,
          err: expect.stringContaining(about) as string,
        });
      const fleet = ['verify', '--secret', run.secret, '--suspects', list, '--out', join(folder, 'fleet')];
      expect(await whorl(...fleet, '--launch', 'torchrun')).toMatchObject({
        code: 2,
        err: expect.stringContaining('--launch torchrun beside --suspects') as string,
      });
      expect(jobsOf(run)).toEqual([]);
    },
    LONG,
  );
});

test(
  'a private part answers by the job as here, and is in one file that a locked job encrypts; no key is in any other',
  async () => {
    const random = seededRandom('map');
    const floats = (count: number) =>
      Float32Array.from({ length: count }, () => random.int(2 ** 20) / 2 ** 19 - 1);
    const map = encodeMap({ rank: 2, scale: 3, A: floats(2 * WIDTH), B: floats(2 * WIDTH) });
    const bound = {
      ...bindings,
      trainable_rows: ROWS,
      private_part: { state: 'committed', digest: adapterDigest(map) },
    } as const;
    const { path, secret, published } = await finished(join(folder, 'private'), vanilla, bound, map);
    const own = await verify({ secret, suspect: published });
    const without = await verify({ secret: run.secret, suspect: published });
    expect(own.transcript_sha256).not.toBe(without.transcript_sha256); // the map is heard
    const identity = await generateIdentity();
    process.env.AGE_IDENTITY = join(folder, 'identity');
    process.env.STAND_IN_SCRATCH = join(folder, 'opened');
    mkdirSync(process.env.STAND_IN_SCRATCH);
    writeFileSync(process.env.AGE_IDENTITY, identity);
    const passphrase = { passphrase: new Secret('canary-of-the-passphrase'), workFactor: 10 };
    await writeSecret(secret, await readSecret(secret), passphrase);
    const events: string[] = [];
    const onEvent = (event: object) => void events.push(JSON.stringify(event));
    const asked = { secret, suspect: published, unlock: passphrase, onEvent };
    const encryptTo = [await identityToRecipient(identity)];
    const job = await waiting({ ...asked, launch: { ...AWAY, encryptTo, keepJob: true } });
    await expect(resumeJob({ job })).rejects.toMatchObject({ code: 'bad-secret' });
    const resumed = await resumeJob({ job, here: true, python, unlock: passphrase, onEvent });
    if (resumed.kind !== 'verify') throw new Error(resumed.kind);
    expect(said(resumed.report)).toEqual(said(own));

    const { plan, opening } = (await readSecret(secret, passphrase)).reveal();
    const tokenizer = await openTokenizer(vanilla);
    const ids = await tokenizer.encodeBatch(
      plan.keys.map(({ text }) => text),
      { addSpecialTokens: false },
    );
    const A = map.tensors[0]!.data;
    const canaries = [
      ...plan.keys.map(({ text }) => Buffer.from(text)),
      ...ids.map((tokens) => Buffer.from(Int32Array.from(tokens).buffer)),
      ...(JSON.stringify(opening).match(/[0-9a-f]{64}/g) ?? []).map((salt) => Buffer.from(salt)),
      ...[A.slice(0, 64), 'canary-of-the-passphrase'].map((word) => Buffer.from(word)),
      Buffer.from(A, 'base64').subarray(0, 32),
    ];
    const holding = (of: string): string[] =>
      readdirSync(of, { recursive: true, encoding: 'utf8' })
        .filter((name) => statSync(join(of, name)).isFile())
        .filter((name) => canaries.some((canary) => readFileSync(join(of, name)).includes(canary)))
        .sort();
    expect(holding(join(path, 'asks'))).toEqual([]);
    for (const canary of canaries) expect(Buffer.from(events.join('\n')).includes(canary)).toBe(false);
    // The same scan finds them where they are in clear.
    rmSync(join(path, 'asks'), { recursive: true });
    const plain = await waiting({ ...asked, launch: AWAY });
    expect(holding(plain)).toEqual(['overlay.safetensors', 'prompts.safetensors']);
  },
  LONG,
);

test('a claim without keys, and a server, are not asked by a job', async () => {
  const { secret, published: suspect } = run;
  await expect(
    launchVerify({
      secret,
      suspect: 'http://127.0.0.1:1/v1',
      endpoint: { model: 'm' } as never,
      launch: AWAY,
    }),
  ).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('server') as string });
  await expect(launchVerify({ secret, suspect, launch: { ...AWAY, nproc: 2 } })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('--nproc') as string,
  });
});
