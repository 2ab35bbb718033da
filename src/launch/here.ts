// A job on this machine: torchrun as a child of this process, its progress file followed until it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLog, writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { fileIdentity } from '../sources/bounded-reader.ts';
import { resultFolder } from './result.ts';

const POLL_MS = 200;
/** What torchrun has to let its ranks keep their state before it is killed. */
const GRACE_MS = 60_000;

/** A line of the progress file, as train.py says it. */
export type JobLine =
  | { readonly kind: 'started'; readonly step: number; readonly steps: number }
  | { readonly kind: 'step'; readonly step: number; readonly loss: number }
  | { readonly kind: 'kept'; readonly step: number; readonly file: string }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'asked'; readonly done: number; readonly of: number }
  | { readonly kind: 'interrupted' | 'done'; readonly step: number };

const progressFile = (folder: string): string => join(resultFolder(folder), 'progress.jsonl');

/** Empty where there is none yet; a job that is begun again writes it anew. */
function progressText(folder: string): string {
  const path = progressFile(folder);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Which file it is: a job that stopped at the same place twice says the same words again. */
const progressIdentity = (folder: string): string | undefined => fileIdentity(progressFile(folder));

/** Whole lines of what a job has said so far: without the empty end, and what another machine's half-copied file ends with. */
export const jobLines = (folder: string): JobLine[] =>
  progressText(folder)
    .split('\n')
    .flatMap((line) => (jsonOrNothing(line) as JobLine | undefined) ?? []);

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

interface Failure {
  readonly rank: number;
  readonly error: string;
  readonly text: string;
}

/** What a rank said of itself; of one that could not, what torchrun says. */
function failed(folder: string, code: string): WhorlError {
  const again = 'the same command goes on from its last checkpoint';
  const told = existsSync(resultFolder(folder))
    ? readdirSync(resultFolder(folder))
        .filter((name) => /^failed-\d+\.json$/.test(name))
        .map((name) => JSON.parse(readFileSync(join(resultFolder(folder), name), 'utf8')) as Failure)
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
