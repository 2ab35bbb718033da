// What is wrong with a command line, said as every other error is: one line, what and what to do, exit code 2.

import { afterEach, describe, expect, test, vi } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { whorl } from './whorl.ts';

afterEach(() => vi.restoreAllMocks());

const LINES: readonly [line: string, says: string][] = [
  ['frobnicate', 'whorl has no command frobnicate: whorl --help lists them'],
  ['verfy --model x', 'whorl has no command verfy: did you mean verify?'],
  ['GENERATE', 'whorl has no command GENERATE: did you mean generate?'],
  ['help genrate', 'whorl has no command genrate: did you mean generate?'],
  ['report frob', 'whorl report has no command frob: one of fsr, harmlessness'],
  ['dataset mx', 'whorl dataset has no command mx: did you mean mix?'],
  ['--model x', '--model stands before any command: whorl --help lists the commands'],
  ['-q', '-q stands before any command: whorl --help lists the commands'],
  ['generate -z', 'unknown option -z: see --help'],
  ['generate -model x', 'unknown option -model: did you mean --model?'],
  ['generate --modle x', 'unknown option --modle: did you mean --model?'],
  ['generate --quiet=3 --model x --prompt a', '--quiet takes no value: write --quiet alone'],
  ['generate', 'whorl generate needs --model: whorl generate --help says what each is for'],
  ['finetune', 'whorl finetune needs --model, --data, --out: whorl finetune --help says what each is for'],
  ['generate --model', '--model is given without its value: write --model <model>'],
  [
    'generate --model --prompt a',
    '--model is given without its value: --prompt follows: give one; if it is --prompt itself, write --model=--prompt',
  ],
  ['generate --model x --threads 0', '--threads 0: it is not a whole number from 1: whorl generate --help'],
  ['generate --model x --device gpu', '--device gpu is not known: did you mean cpu?'],
  ['completion zhs', 'shell zhs is not known: did you mean zsh?'],
  ['inspect', 'whorl inspect needs <path>: whorl inspect --help'],
  [
    'inspect a b',
    'whorl inspect takes 1 argument beside its flags, and 2 are given: a value with spaces goes in quotes',
  ],
  [
    'generate --model x --prompt a b',
    'whorl generate takes no argument beside its flags, and 1 is given: a value with spaces goes in quotes',
  ],
];

test.each(LINES)('whorl %s', async (line, says) => {
  expect(await whorl(...line.split(' '))).toEqual({ code: 2, out: '', err: `error: ${says}\n` });
});

describe.each(Object.keys(COMMANDS))('%s', (name) => {
  test.each([['--frobnicate'], ['--quiet=x'], ['-Z']])('%s is one line', async (flag) => {
    const { code, out, err } = await whorl(name, flag);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: .*\n$/);
  });
});

const MERGE = ['merge', '--model', 'm', '--adapter', 'a'];
test.each([
  [
    ['generate', '--model', '', '--prompt', 'a'],
    '--model is empty: give a path; is a variable of the shell not set?',
  ],
  [[...MERGE, '--out', ' '], '--out is empty: give a path; is a variable of the shell not set?'],
  [
    ['finetune', '--model', 'm', '--data', '', '--out', 'o'],
    '--data is empty: give a path; is a variable of the shell not set?',
  ],
  [
    [...MERGE, '--out=~/runs/x'],
    '--out ~/runs/x: the shell has left ~ as it stands: write "$HOME/runs/x", or leave a space in the place of =',
  ],
])('a place that is none: %j', async (args, says) => {
  expect(await whorl(...args)).toEqual({ code: 2, out: '', err: `error: ${says}\n` });
});

test('a flag that is a value is given with =', async () => {
  const { code, err } = await whorl('generate', '--model=/nowhere/--prompt', '--prompt=--json');
  expect({ code, err }).toEqual({
    code: 1,
    err: expect.stringContaining('/nowhere/--prompt does not exist') as string,
  });
});
