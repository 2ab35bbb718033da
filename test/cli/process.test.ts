// The program as a process of its own: shebang file, streams, signals.

import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

function start(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, out, err })),
  );
  return { child, ended };
}

test('exit code and streams of a failure; no stack unless asked for', async () => {
  const { code, out, err } = await start('inspect', '/nowhere/at-all', '--json').ended;
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe('error: /nowhere/at-all does not exist: give a file, a folder or a hub id\n');
});

test('a reader that goes away is told nothing more', async () => {
  const { child, ended } = start('inspect', 'goldens/gguf/untied-mha-f16.gguf', '--tensors');
  child.stdout.destroy();
  expect(await ended).toMatchObject({ code: 1, err: '' }); // what was not delivered is no success
});
