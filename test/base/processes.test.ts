// Who goes on: this process, one that ended, and one that ended and that nobody asks how (a zombie), to which signals still go.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { isAlive } from '../../src/base/processes.ts';

let child: ChildProcess | undefined;
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
afterEach(() => {
  child?.kill('SIGKILL');
});

test('this process, and one that ended', async () => {
  expect(isAlive(process.pid)).toBe(true);
  child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  expect(isAlive(child.pid!)).toBe(false);
});

test.runIf(process.platform === 'linux')('a zombie does not go on', async () => {
  // The shell becomes a program that asks after no child, and only then its child ends.
  const script = 'cat <&3 & echo $!; exec sleep 60';
  child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  const pid = Number(said.toString());
  await until(() => readFileSync(`/proc/${child!.pid}/comm`, 'utf8') === 'sleep\n');
  (child.stdio[3] as Writable).end();
  await until(() => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  expect(process.kill(pid, 0)).toBe(true);
  expect(isAlive(pid)).toBe(false);
});
