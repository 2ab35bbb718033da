import { Command } from 'commander';
import { expect, test } from 'vitest';
import { commandLine, normaliseFlags, parseSettings } from '../../src/cli/arguments.ts';
import { bytesText, cut, durationText, largeText, shownText, table } from '../../src/cli/output.ts';

const command = new Command('x').option('--base-model <m>').option('-t, --template <t>').option('--dry-run');

test.each([
  [['--base_model=a_b'], ['--base-model=a_b']],
  [
    ['--base_model', '--not_a_flag', '--dry_run'],
    ['--base-model', '--not_a_flag', '--dry-run'],
  ],
  [
    ['--dry_run', '--base_model', 'x'],
    ['--dry-run', '--base-model', 'x'],
  ],
  [
    ['-t', '--a_b', 'key_name=--v_w'],
    ['-t', '--a_b', 'key_name=--v_w'],
  ],
  [
    ['--', '--a_b'],
    ['--', '--a_b'],
  ],
])('%j reads as %j', (given, read) => {
  expect(normaliseFlags(given, command)).toEqual(read);
});

test('settings keep strange keys harmless and values whole', () => {
  const settings = parseSettings(['lr=1e-2', 'note=a=b c', '__proto__=x'].slice(0, 2));
  expect(settings).toEqual({ lr: '1e-2', note: 'a=b c' });
  expect(() => parseSettings(['__proto__=x'])).toThrow('key=value');
  expect(({} as Record<string, unknown>).x).toBeUndefined();
});

test('figures for people', () => {
  expect([999, 1234567, 538e6, 999_600].map(bytesText)).toEqual(['999 B', '1.2 MB', '538 MB', '1.0 MB']);
  expect([0.44, 12.4, 59.7, 185, 7800].map(durationText)).toEqual([
    '0.4 s',
    '12 s',
    '1 min 00 s',
    '3 min 05 s',
    '2 h 10 min',
  ]);
  expect([1234, 134_515_008, 7e9].map(largeText)).toEqual(['1,234', '134.5 M', '7.00 B']);
  expect(
    table([
      ['a', '1'],
      ['bc', '12'],
    ]),
  ).toEqual(['  a    1', '  bc  12']);
});

test('untrusted text cannot steer the terminal or run over it', () => {
  expect(shownText('a\x1b[2J\u202eb\u009b')).toBe('a\\u001b[2J\\u202eb\\u009b');
  expect(cut('日本語テキスト', 7)).toBe('日本語…');
});

test('a command is said again with another value, without a flag, and as a shell reads it', async () => {
  const said: string[] = [];
  const program = new Command('whorl');
  program
    .command('make')
    .requiredOption('--model <m>')
    .option('--recipient <r>', '', (value: string, before: string[] = []) => [...before, value])
    .option('--overwrite')
    .option('--json')
    .option('--max-minutes <n>', '', Number)
    .option('--method <name>', '', 'rows')
    .argument('[settings...]')
    .action((_settings, _flags, own: Command) => {
      said.push(commandLine(own), commandLine(own, { maxMinutes: 60, overwrite: false }));
    });
  const given = [
    'make',
    '--json',
    '--overwrite',
    '--model',
    "it's a",
    '--recipient',
    'a',
    '--recipient',
    'b',
    'lr=1e-2',
  ];
  await program.parseAsync(given, { from: 'user' });
  const [model, recipients] = [String.raw`--model 'it'\''s a'`, '--recipient a --recipient b'];
  expect(said).toEqual([
    `whorl make ${model} ${recipients} --overwrite --json lr=1e-2`,
    `whorl make ${model} ${recipients} --json --max-minutes 60 lr=1e-2`,
  ]);
});
