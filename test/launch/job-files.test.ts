// What a job says of itself where it runs, in one line: fewer ranks than asked for, a changed file, another model, another torch. The
// checks are the job's own Python without torch; torchrun and train.py are stood for.

import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { launchFinetune, type UserFinetuneOptions } from '../../src/finetune/user-finetune.ts';
import { runHere } from '../../src/launch/here.ts';
import { isWaiting } from '../../src/launch/job.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const hasPython = spawnSync('python3', ['-c', 'import sys; assert sys.version_info >= (3, 11)']).status === 0;
if (!hasPython) process.stderr.write('no python3 from 3.11: job_files.py is not tested here\n');

/** What train.py and ask.py do before anything else, for a rank of a torchrun that was asked for so many. */
const RANK = `
import json, os, sys
sys.path.insert(0, os.getcwd())
import job_files
job_files.version = lambda name: "5.0.0"
try:
    job_files.check_job()
    job = json.loads((job_files.HOME / "job.json").read_text())
    job_files.check_ranks(job, int(sys.argv[sys.argv.index("--nproc-per-node") + 1]))
    if (job_files.HOME / "batches.safetensors.age").exists():
        job_files.secret_bytes("batches.safetensors")
    job_files.check_model(job_files.Path(os.environ["MODEL"]), job["model"]["files"])
    job_files.RESULT.mkdir(mode=0o700, exist_ok=True)
    notes = [{"kind": "note", "text": text} for text in job_files.warned("3.1.4+cu999")]
    job_files.write_text(job_files.RESULT / "progress.jsonl", "".join(json.dumps(note) + "\\n" for note in notes))
except Exception as error:
    job_files.tell_failure(error)
`;

describe.runIf(hasPython)('a job for two ranks', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-ranks-'));
  const python = join(scratch, 'python');
  let job: string;
  let asked: UserFinetuneOptions;
  beforeAll(async () => {
    writeFileSync(join(scratch, 'rank.py'), RANK);
    writeFileSync(python, `#!/bin/sh\nexec python3 '${join(scratch, 'rank.py')}' "$@"\n`);
    chmodSync(python, 0o700);
    const data = join(scratch, 'rows.json');
    writeFileSync(data, JSON.stringify([{ instruction: 'Count', input: '', output: 'One' }]));
    // A name as a shell's reader of KEY=VALUE would not give it back.
    const model = join(scratch, ' model $HOME "x"=');
    cpSync(MODEL, model, { recursive: true });
    asked = { model, data, out: join(scratch, 'tuned'), settings: { epochs: 1, batch: 1 } };
    const written = await launchFinetune({ ...asked, launch: { engine: 'torchrun', nproc: 2 } });
    if (!isWaiting(written)) throw new Error('nothing waits');
    job = written.job;
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  /** What is said on the way; under an environment. */
  async function run(environment: Readonly<Record<string, string>> = {}, which = job): Promise<string[]> {
    const notes: string[] = [];
    Object.assign(process.env, environment);
    try {
      await runHere(which, python, (line) => {
        if (line.kind === 'note') notes.push(line.text);
        return Promise.resolve();
      });
    } finally {
      for (const name of Object.keys(environment)) delete process.env[name];
    }
    return notes;
  }
  const refusal = (message: string) => ({ code: 'job-failed', message });

  test('started with one is refused in a line that says what to do; the same job then runs', async () => {
    const ranks =
      'the job refuses: ranks that run: 1, asked for: 2: give run.sh NPROC and NNODES, or WHORL_RANKS=1 if it is meant so';
    await expect(run({ NPROC: '1' })).rejects.toMatchObject(refusal(ranks));
    await run({ NPROC: '1', WHORL_RANKS: '1' });
    await run();
  });

  test('for several machines, on one that does not know which it is: says what to set', async () => {
    await expect(run({ NNODES: '2' })).rejects.toMatchObject({
      code: 'job-failed',
      message: expect.stringMatching(
        /^a job of several machines runs here: set NODE_RANK to the number of this machine[^\n]*: /,
      ) as string,
    });
  });

  test('under other packages than it was tried with says so with both versions', async () => {
    expect(await run()).toEqual([
      'torch 3.1.4 runs, the job was tried with 2.11.0',
      'transformers 5.0.0 runs, the job was tried with 5.24.0',
    ]);
  });

  test('that was changed, or is given another model, names the file', async () => {
    const before = readFileSync(join(job, 'batches.safetensors'));
    appendFileSync(join(job, 'batches.safetensors'), ' ');
    await expect(run()).rejects.toMatchObject(
      refusal(
        'the job refuses: batches.safetensors of the job was changed: copy the folder again, or write the job anew',
      ),
    );
    writeFileSync(join(job, 'batches.safetensors'), before);
    const manifest = readFileSync(join(job, 'manifest.json'));
    for (const damaged of ['', '[]', manifest.subarray(0, -9)]) {
      writeFileSync(join(job, 'manifest.json'), damaged);
      await expect(run()).rejects.toMatchObject(
        refusal(
          'the job refuses: manifest.json of the job is damaged or not there: copy the whole folder again',
        ),
      );
    }
    writeFileSync(join(job, 'manifest.json'), manifest);
    const other = join(scratch, 'other');
    cpSync(MODEL, other, { recursive: true });
    appendFileSync(join(other, 'config.json'), ' ');
    await expect(run({ MODEL: other })).rejects.toMatchObject({
      code: 'job-failed',
      message: expect.stringContaining('config.json of the model is another one') as string,
    });
  });

  test('that is encrypted says what opens it: no identity, none there, no age, another identity', async () => {
    const [ours, other] = [await generateIdentity(), await generateIdentity()];
    const launch = { engine: 'torchrun', encryptTo: [await identityToRecipient(ours)] } as const;
    const written = await launchFinetune({ ...asked, out: join(scratch, 'locked'), launch });
    if (!isWaiting(written)) throw new Error('nothing waits');
    const identity = join(scratch, 'identity');
    writeFileSync(identity, other, { mode: 0o600 });
    const age = join(scratch, 'age');
    writeFileSync(age, '#!/bin/sh\nexit 1\n', { mode: 0o700 }); // what age does with an identity that opens nothing
    const said = (environment: Readonly<Record<string, string>>) =>
      run({ NPROC: '1', ...environment }, written.job).catch((error: Error) => error.message);
    expect(await said({})).toMatch(/^the job refuses: the job is encrypted: set AGE_IDENTITY/);
    expect(await said({ AGE_IDENTITY: join(scratch, 'none') })).toMatch(
      /AGE_IDENTITY names .*none, which is no file/,
    );
    const none = { AGE_IDENTITY: identity, AGE: join(scratch, 'no age') };
    expect(await said(none)).toMatch(/there is no program .*no age here: install age, or set AGE to it$/);
    expect(await said({ ...none, AGE: age })).toMatch(
      /AGE_IDENTITY is not the identity it was encrypted to$/,
    );
  });
});
