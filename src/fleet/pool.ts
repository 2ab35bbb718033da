// A fleet on this machine: processes of this program, so many at a time. Each ends with this one, because the pipe to it does.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, rmSync } from 'node:fs';
import { currentSignal } from '../base/abort.ts';
import { openLog } from '../base/atomic.ts';
import { cores } from '../base/cores.ts';
import type { TaskPlace } from './folder.ts';
import type { Launcher } from './launcher.ts';
import { ownProgram } from './program.ts';
import { failureFile, logFile } from './task.ts';

export interface PoolOptions {
  /** Processes at a time; default: half of the cores. */
  readonly jobs?: number | undefined;
  /** Threads of one operation in each; default: the cores shared out. */
  readonly threads?: number | undefined;
}

export function poolOf({ jobs, threads }: PoolOptions): Launcher {
  const usable = cores()?.usable ?? 2;
  const many = jobs ?? Math.max(1, Math.floor(usable / 2));
  const each = threads ?? Math.max(1, Math.floor(usable / many));
  const children = new Set<ChildProcess>();
  const end = (): void => {
    for (const child of children) child.kill('SIGTERM');
  };
  currentSignal()?.addEventListener('abort', end);
  return {
    jobs: many,
    check: async () => {},
    run: (place) => runChild(place, each, children),
    async close() {
      currentSignal()?.removeEventListener('abort', end);
      const ended = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
      end();
      await Promise.all(ended);
    },
  };
}

async function runChild(
  { folder }: TaskPlace,
  threads: number,
  children: Set<ChildProcess>,
): Promise<string> {
  rmSync(failureFile(folder), { force: true });
  const [command, ...before] = ownProgram();
  const log = openLog(logFile(folder));
  const task = ['task', folder, '--threads', String(threads), '--with-parent', '--quiet'];
  const child = spawn(command!, [...before, ...task], { stdio: ['pipe', log, log] });
  closeSync(log);
  children.add(child);
  child.stdin!.on('error', () => {});
  try {
    return await new Promise<string>((resolve) => {
      child.on('error', (cause) => resolve(`could not be started (${cause.message})`));
      child.on('exit', (code, signal) =>
        resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code} (${logFile(folder)})`),
      );
    });
  } finally {
    children.delete(child);
  }
}
