// A job on this machine: torchrun as a child of this process, its progress file followed until it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { openLog, writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { fileIdentity } from '../sources/bounded-reader.ts';
import { resultFolder } from './result.ts';

const POLL_MS = 200;
/** What torchrun has to let its ranks keep their state before it is killed. */
const GRACE_MS = 60_000;

const count = z.number().int().nonnegative();
/** A line of the progress file, as train.py says it. */
const lineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), step: count, steps: count }),
  z.object({ kind: z.literal('step'), step: count, loss: z.number() }),
  z.object({ kind: z.literal('kept'), step: count, file: z.string() }),
  z.object({ kind: z.literal('note'), text: z.string() }),
  z.object({ kind: z.literal('asked'), done: count, of: count }),
  z.object({ kind: z.enum(['interrupted', 'done']), step: count }),
]);
export type JobLine = Readonly<z.infer<typeof lineSchema>>;

const progressFile = (folder: string): string => join(resultFolder(folder), 'progress.jsonl');

/** Empty where there is none yet; a job that is begun again writes it anew. */
function progressText(folder: string): string {
  const path = progressFile(folder);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Which file it is: a job that stopped at the same place twice says the same words again. */
const progressIdentity = (folder: string): string | undefined => fileIdentity(progressFile(folder));

/** What a job has said so far: without the empty end, what another machine's half-copied file ends with, and what no job says. */
export const jobLines = (folder: string): JobLine[] =>
  progressText(folder)
    .split('\n')
    .flatMap((line) => lineSchema.safeParse(jsonOrNothing(line)).data ?? []);

/**
 * Runs the job, from its last checkpoint on, until it ends.
 * @param onLine each line once; what it throws ends the job, which keeps its state
 * @throws WhorlError `job-failed` naming the rank and its reason
 */
export async function runHere(
  folder: string,
  python: string | undefined,
  onLine: (line: JobLine) => Promise<void>,
): Promise<void> {
  const before = progressIdentity(folder);
  const log = openLog(join(folder, 'log.txt'));
  const child = spawn('sh', [join(folder, 'run.sh')], {
    stdio: ['ignore', log, log],
    detached: true, // its own group, so that all of it can be ended
    env: { ...process.env, WHORL_FOLLOWED: String(process.pid), ...(python && { PYTHON: python }) },
  });
  closeSync(log);
  const ended = new Promise<number | string>((resolve) => {
    child.on('error', (cause) => resolve(cause.message));
    child.on('exit', (code, signal) => resolve(signal ?? code ?? 1));
  });
  let code: number | string | undefined;
  void ended.then((how) => {
    code = how;
  });
  let seen = 0;
  let begun = false;
  try {
    for (;;) {
      const isOver = code !== undefined;
      begun ||= progressIdentity(folder) !== before;
      const lines = begun ? jobLines(folder) : [];
      for (; seen < lines.length; seen++) await onLine(lines[seen]!);
      if (isOver) break;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } catch (cause) {
    await end(child, ended);
    throw cause;
  }
  if (code !== 0) throw failed(folder, String(code));
}

/** Lets it keep its state, then ends all of it. */
async function end({ pid }: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (pid === undefined) return;
  signal(pid, 'SIGTERM');
  const timer = setTimeout(() => signal(-pid, 'SIGKILL'), GRACE_MS);
  await ended;
  clearTimeout(timer);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended by itself
  }
}

const failureSchema = z.object({ rank: count, error: z.string(), text: z.string() });

/** What a rank said of itself; of one that could not, what torchrun says. */
function failed(folder: string, code: string): WhorlError {
  const again = 'the same command goes on from its last checkpoint';
  const told = existsSync(resultFolder(folder))
    ? readdirSync(resultFolder(folder))
        .filter((name) => /^failed-\d+\.json$/.test(name))
        .map((name) => jsonOrNothing(readFileSync(join(resultFolder(folder), name), 'utf8')))
        .flatMap((said) => failureSchema.safeParse(said).data ?? [])
    : [];
  const log = join(folder, 'log.txt');
  const text = readFileSync(log, 'utf8');
  const killed = /^\s*rank\s*:\s*(\d+)[\s\S]*?exitcode\s*:\s*(-\d+)/m.exec(
    text.slice(text.lastIndexOf('Root Cause')),
  );
  const refused = told.find(({ error }) => error === 'Refused');
  if (refused) return new WhorlError('job-failed', `the job refuses: ${refused.text}`);
  if (killed)
    return new WhorlError('job-failed', `rank ${killed[1]} was ended by signal ${-Number(killed[2])}`, again);
  const [first] = told;
  if (first)
    return new WhorlError('job-failed', `rank ${first.rank}: ${first.error}: ${first.text} (${log})`, again);
  const unset = /^.*: (NODE_RANK|ENDPOINT): (set .+)$/m.exec(text);
  if (unset) return new WhorlError('job-failed', `a job of several machines runs here: ${unset[2]}`, again);
  const missing = /No module named '?([\w.]+)/.exec(text)?.[1];
  if (missing)
    return new WhorlError(
      'job-failed',
      `this Python has no ${missing}`,
      `install what ${join(folder, 'requirements.txt')} names, or name another with --python`,
    );
  return new WhorlError('job-failed', `torchrun ended with ${code}; its last words are in ${log}`, again);
}

/** Tells a job that waits after a kept state whether to go on. */
export function answer(folder: string, step: number, isEnough: boolean): void {
  writeFileAtomic(join(folder, isEnough ? 'stop' : `go-${step}`), '', 0o600);
}
