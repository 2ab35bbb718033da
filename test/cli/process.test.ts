// The program as a process of its own: shebang file, streams, signals.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch, tinyModel } from './tiny-model.ts';

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

test('the engine leaves nothing of a session in the user’s folders: no identifier, no events', async () => {
  const root = scratch();
  const model = tinyModel(root);
  const [home, temporary] = ['home', 'tmp'].map((name) => join(root, name));
  for (const folder of [home!, temporary!]) mkdirSync(folder);
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  const args = ['generate', '--model', model, '--prompt', 'a', '--max-new-tokens', '1'];
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    env: { ...env, HOME: home, XDG_CACHE_HOME: join(home!, '.cache'), TMPDIR: temporary },
    stdio: 'ignore',
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  const left = [home!, temporary!].flatMap((folder) => readdirSync(folder, { recursive: true }).map(String));
  expect({ code, left: left.filter((path) => !path.startsWith('tsx-')) }).toEqual({ code: 0, left: [] });
  rmSync(root, { recursive: true });
});
