// Suspects verified by the local pool and by a Ray head that is started here: the same verdict bytes, one task killed (-9) midway in each,
// nothing lost, nothing done twice, and no word of the secret in job folders or Ray's logs.
//
//   npm run build; npx tsx bench/fleet.ts --run RUN --vanilla MODEL [--ray VENV/bin/ray] [--suspects 30] [--jobs 2] [--keep]

import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
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
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { packageRoot } from '../src/base/package-root.ts';
import { seededRandom } from '../src/base/random-source.ts';
import { readSecret } from '../src/claim/secret-file.ts';
import { fromFloat32, toFloat32 } from '../src/tensor/convert.ts';
import { flag, has, open } from './machines.ts';

const [run, vanilla] = [flag('run')[0], flag('vanilla')[0]];
if (run === undefined || vanilla === undefined) throw new Error('give --run and --vanilla');
const ray = flag('ray')[0];
const count = Number(flag('suspects')[0] ?? 30);
const jobs = flag('jobs')[0] ?? '2';
const PORTS = { gcs: 6391, dashboard: 8291, client: 9991 } as const;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fleet-'));
const CLI = join(packageRoot(), 'dist', 'cli.js');

/** A copy whose every weight is off by up to `share` of itself. */
async function noisy(from: string, to: string, share: number, seed: string): Promise<void> {
  cpSync(from, to, { recursive: true, dereference: true });
  const random = seededRandom(seed);
  const { tensors } = await open(to);
  const file = join(to, 'model.safetensors');
  const bytes = readFileSync(file);
  for (const { offset, length, dtype } of tensors.values()) {
    const part = bytes.subarray(offset, offset + length);
    const floats = dtype as 'float32' | 'float16' | 'bfloat16';
    const values = toFloat32(part, floats).map((x) => x * (1 + share * (random.int(2 ** 24) / 2 ** 23 - 1)));
    part.set(fromFloat32(values, floats));
  }
  writeFileSync(file, bytes);
}

const list = join(scratch, 'suspects.txt');
const names: string[] = [];
for (let i = 0; i < count; i++) {
  const name = `${i % 3 === 0 ? 'thief' : 'innocent'}-${i}`;
  await noisy(i % 3 === 0 ? join(run, 'published') : vanilla, join(scratch, name), 0.002 * (i + 1), name);
  names.push(name);
}

interface Run {
  readonly code: number;
  readonly seconds: number;
  readonly verdict: string;
  readonly killed: number;
}

/** Processes of tasks of this fleet that have no result yet, by the folder in their command line. */
const taskProcesses = (out: string): number[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const folder = words.find((word) => word.startsWith(join(out, 'tasks')));
      const isTask = words[0] === process.execPath && folder !== undefined;
      return isTask && !existsSync(join(folder, 'result.json')) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });

const resultsIn = (out: string): number =>
  existsSync(join(out, 'tasks'))
    ? readdirSync(join(out, 'tasks')).filter((id) => existsSync(join(out, 'tasks', id, 'result.json'))).length
    : 0;

async function fleet(out: string, order: readonly string[], more: readonly string[]): Promise<Run> {
  writeFileSync(list, `${order.join('\n')}\n`);
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      CLI,
      'verify',
      '--secret',
      join(run!, 'secret.whorl'),
      '--suspects',
      list,
      '--out',
      out,
      '--json',
      ...more,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  let code: number | null | undefined;
  child.on('exit', (status) => {
    code = status;
  });
  let killed = 0;
  while (code === undefined) {
    await pause(50);
    if (killed === 0 && resultsIn(out) >= Math.floor(count / 3)) {
      const [pid] = taskProcesses(out);
      if (pid !== undefined) {
        process.kill(pid, 'SIGKILL');
        killed = pid;
      }
    }
  }
  return {
    code: code ?? -1,
    seconds: (performance.now() - started) / 1000,
    verdict: readFileSync(join(out, 'verdict.json'), 'utf8'),
    killed,
  };
}

/** Every file that may be read below a folder. */
function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

async function canaries(): Promise<string[]> {
  const { plan, opening } = (await readSecret(join(run!, 'secret.whorl'))).reveal();
  const salts = JSON.stringify(opening).match(/[0-9a-f]{64}/g) ?? [];
  const keys = plan.keys.map(({ text }) => text);
  return [...keys, ...keys.map((key) => JSON.stringify(key).slice(1, -1)), ...salts];
}

async function leaks(folders: readonly string[]): Promise<{ files: number; bytes: number; found: string[] }> {
  const words = [...new Set(await canaries())].map((word) => Buffer.from(word));
  const found: string[] = [];
  let [files, bytes] = [0, 0];
  for (const folder of folders)
    for (const path of filesBelow(folder)) {
      if (statSync(path).size > 2 ** 28) continue;
      const text = readFileSync(path);
      files++;
      bytes += text.length;
      if (words.some((word) => text.includes(word))) found.push(path);
    }
  return { files, bytes, found };
}

/** Runs of each task, by what each run's process printed when it was done. */
const doneLines = (out: string): number[] =>
  readdirSync(join(out, 'tasks')).map(
    (id) => readFileSync(join(out, 'tasks', id, 'log.txt'), 'utf8').match(/^done/gm)?.length ?? 0,
  );

let failed = false;
function say(what: string, ok: boolean, figures: object): void {
  failed ||= !ok;
  process.stdout.write(`${JSON.stringify({ what, ok, ...figures })}\n`);
}

let head: ChildProcess | undefined;
try {
  const pool = await fleet(join(scratch, 'pool'), names, ['--jobs', jobs]);
  const words = (JSON.parse(pool.verdict) as { suspects: { verdict: string }[] }).suspects.map(
    (s) => s.verdict,
  );
  const lines = doneLines(join(scratch, 'pool'));
  say('pool, one process killed', pool.killed > 0 && words.length === count && lines.every((n) => n === 1), {
    seconds: pool.seconds,
    exit_code: pool.code,
    verified: words.filter((word) => word === 'verified').length,
    results: words.length,
    killed: pool.killed,
    runs_that_were_done: [Math.min(...lines), Math.max(...lines)],
  });
  const other = await fleet(join(scratch, 'other'), names.toReversed(), ['--jobs', String(Number(jobs) + 1)]);
  say('another order and number of processes: the same bytes', other.verdict === pool.verdict, {
    seconds: other.seconds,
  });
  const folders = [join(scratch, 'pool'), join(scratch, 'other')];
  if (ray !== undefined) {
    const temp = mkdtempSync('/tmp/wr-'); // sockets have short names
    head = spawn(
      ray,
      [
        ...['start', '--head', '--block', '--disable-usage-stats', '--num-cpus', jobs, '--temp-dir', temp],
        ...[
          '--port',
          String(PORTS.gcs),
          '--dashboard-host',
          '127.0.0.1',
          '--dashboard-port',
          String(PORTS.dashboard),
        ],
        ...['--ray-client-server-port', String(PORTS.client)],
      ],
      { stdio: 'ignore', detached: true },
    );
    const address = `http://127.0.0.1:${PORTS.dashboard}`;
    for (let i = 0; ; i++) {
      const up = await request(`${address}/api/version`).then(
        ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
        () => false,
      );
      if (up) break;
      if (i > 240) throw new Error('Ray does not start');
      await pause(500);
    }
    const out = join(scratch, 'ray');
    const done = await fleet(out, names, ['--launch', 'ray', '--address', address]);
    const jobsOf = (await (await request(`${address}/api/jobs/`)).body.json()) as {
      submission_id: string;
      status: string;
    }[];
    const statesOf = (wanted: string) => jobsOf.filter(({ status }) => status === wanted).length;
    say(
      'Ray, one job killed: the bytes of the pool',
      done.verdict === pool.verdict &&
        done.killed > 0 &&
        jobsOf.length === count + 1 &&
        statesOf('SUCCEEDED') === count,
      {
        seconds: done.seconds,
        jobs: jobsOf.length,
        succeeded: statesOf('SUCCEEDED'),
        failed: statesOf('FAILED'),
      },
    );
    const again = await fleet(out, names, ['--launch', 'ray', '--address', address]);
    const later = (await (await request(`${address}/api/jobs/`)).body.json()) as unknown[];
    say(
      'the same command again: no job',
      later.length === jobsOf.length && again.verdict === pool.verdict,
      {},
    );
    folders.push(out, temp);
  }
  const { files, bytes, found } = await leaks(folders);
  say('no key, seed or salt in folders and logs', found.length === 0, { files, bytes, found });
  const secretWord = await leaks([run]);
  say('the scan finds them in the run folder itself', secretWord.found.length > 0, {});
} finally {
  if (head?.pid !== undefined) process.kill(-head.pid, 'SIGTERM');
  if (!has('keep')) rmSync(scratch, { recursive: true, force: true });
  else process.stderr.write(`${scratch}\n`);
}
process.exitCode = failed ? 1 : 0;
