// Completion: what a shell is offered for words half typed; bash itself runs the script.

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { whorl } from './whorl.ts';

const offered = async (...words: string[]): Promise<string[]> =>
  (await whorl('complete', '--', ...words)).out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[0]!);

test('every command is offered', async () => {
  const names = await offered('');
  expect(names.slice(0, -1).sort()).toEqual([...Object.keys(COMMANDS), 'help'].sort());
});

test.each([
  [
    ['verify', '--su'],
    ['--suspect', '--suspects', ':4'],
  ],
  [
    ['verify', '--device', 'c'],
    ['cpu', 'cuda', ':4'],
  ],
  [
    ['dataset', 'do'],
    ['dolly', ':4'],
  ],
  [['verify', '--secret', ''], [':0']], // a path: the shell's own files
])('%j is completed by %j', async (words, names) => {
  expect(await offered(...words)).toEqual(names);
});

test.each(['bash', 'zsh', 'fish'])('a script for %s', async (shell) => {
  const { code, out } = await whorl('completion', shell);
  expect(code).toBe(0);
  expect(out).toContain('complete -- ');
  if (shell === 'bash') execFileSync('bash', ['-n'], { input: out });
});

test('another shell is refused', async () => {
  expect(await whorl('completion', 'tcsh')).toMatchObject({ code: 2, out: '' });
});
