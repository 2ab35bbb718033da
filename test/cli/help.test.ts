// What the command line says of itself: help, version, hints, silence.

import { readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { ATTACKS } from '../../src/attack/attacks.ts';
import { type Schema, settingsIn } from '../../src/base/setting.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { FULL, LORA as TUNED_LORA } from '../../src/finetune/settings.ts';
import { LORA, ROWS } from '../../src/fingerprint/settings.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

let folder: string;
let model: string;
beforeAll(() => {
  folder = scratch();
  model = tinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

test.each([...Object.keys(COMMANDS), 'dataset mix', 'dataset chat', 'dataset dolly', 'report fsr'])(
  '%s: help has required flags first and two examples that its parser takes',
  async (name) => {
    const { out } = await whorl(...name.split(' '), '--help');
    const options = [...out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+).*?(?: {2,}(required:)|$| )/gm)];
    const required = options.map(([line]) => line.includes('required:'));
    expect(required).toEqual([...required].sort((a, b) => Number(b) - Number(a)));
    const examples = [...out.matchAll(/^ {2}(whorl .*)$/gm)].map(([, line]) => line!);
    expect(examples).toHaveLength(2);
    for (const example of examples) {
      expect(example.startsWith(`whorl ${name}`)).toBe(true);
      // Parsed and asked for help: an unknown flag is refused before help is printed.
      const words = [...example.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
      expect(await whorl(...words.slice(1), '--help'), example).toMatchObject({ code: 0 });
    }
  },
);

test.each(['fingerprint', 'finetune', 'show-batch', 'pipeline'])(
  '%s says how a setting is written to who writes it as a flag',
  async (name) => {
    const { code, err } = await whorl(name, '--steps', '10');
    expect(code).toBe(2);
    expect(err).toContain('steps=VALUE');
  },
);

test('--quiet draws nothing', async () => {
  const args = ['score', '--model', model, '--context', 'a', '--continuation', ' b', '--json'];
  expect((await whorl(...args)).err).toMatch(/^opening: /);
  const quiet = await whorl(...args, '--quiet');
  expect(quiet.code).toBe(0);
  expect(quiet.err).toMatch(/^1 row, .*\n$/); // the sum stays
  expect(quiet.out).not.toBe('');
});

test.each(['--version', '-v', '-V', 'version'])('%s prints the version', async (word) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await whorl(word)).toMatchObject({ code: 0, out: `${version}\n` });
});

test.each<[string[], Schema]>([
  [['fingerprint'], ROWS],
  [['fingerprint', '--method', 'lora'], LORA],
  [['finetune'], FULL],
  [['finetune', '--lora'], TUNED_LORA],
  [['attack'], ATTACKS.noise.settings],
])('%j --help lists its settings with their defaults, in 80 columns', async (args, schema) => {
  const { out } = await whorl(...args, '--help');
  for (const [name, setting] of settingsIn(schema)) expect(out).toContain(`  ${name}=${setting.default} `);
  const [help] = out.split('\nExamples:');
  expect(help!.split('\n').filter((line) => line.length > 80)).toEqual([]);
});
