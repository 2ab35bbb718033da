// `--dry-run` is on every command that writes, and on those that write one file (a page, a figure, a signature, a result)
// it gives the plan that they keep, and refuses what they refuse.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DryRun } from '../../src/base/dry-run.ts';
import { everyCommand } from '../../src/cli/commands.ts';
import { digestModel } from '../../src/fleet/digests.ts';
import { boundToRows } from '../../src/fleet/eval-task.ts';
import { FleetFolder } from '../../src/fleet/folder.ts';
import { made } from '../verify/certificate/made.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const folder = scratch();
const at = (...names: string[]): string => join(folder, ...names);
/** With a result already, and without one. */
let [done, open] = ['', ''];

beforeAll(() => {
  writeFileSync(at('certificate.json'), made().text);
  writeFileSync(at('silent.json'), made({ lost: 16 }).text);
  writeFileSync(at('broken.json'), made().text.replace('"payload":"', '"payload":"AAAA'));
  const { files } = JSON.parse(
    readFileSync(new URL('../../goldens/report/harmlessness.json', import.meta.url), 'utf8'),
  ) as { files: Record<string, unknown> };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(at('harm', path)), { recursive: true });
    writeFileSync(at('harm', path), JSON.stringify(content));
  }
  mkdirSync(at('signed'));
  writeFileSync(at('signed', 'config.json'), '{}');
  const model = tinyModel(folder);
  mkdirSync(at('data', 'piqa'), { recursive: true });
  const row = { goal: 'to sit', sol1: 'take a chair', sol2: 'take a pear', label: 0 };
  writeFileSync(at('data', 'piqa', 'validation.jsonl'), `${JSON.stringify(row)}\n`);
  const task = (name: string, sha256: string) => {
    const fleet = new FleetFolder(at('fleet'));
    const files = { data: at('data') };
    const options = { tasks: ['piqa'], shots: [0] };
    const place = fleet.placeOf({
      ...{ command: 'eval', name, bound: boundToRows(files), options, settings: {}, files, sha256 },
      who: { kind: 'files', path: model },
    });
    fleet.keepPlace(place);
    return place.folder;
  };
  [done, open] = [task('changed', 'a'.repeat(64)), task('open', digestModel(model))];
});
afterAll(() => rmSync(folder, { recursive: true }));

const signed = (...args: string[]): string[] => ['sign', at('signed'), '--key', at('key.pem'), ...args];
const checked = (...args: string[]): string[] => ['check', at('certificate.json'), ...args];
const reported = (...args: string[]): string[] => ['report', 'harmlessness', 'adapter', at('harm'), ...args];

/** Commands that leave nothing but what they print. */
const PRINT_ONLY: ReadonlySet<string> = new Set([
  ...['rival', 'generate', 'score', 'inspect', 'show-batch', 'doctor', 'completion'],
]);

/** Commands that do something, by their full names. */
const leaves = (command: Command, before = ''): [string, Command][] => {
  const name = `${before}${command.name()}`;
  return [
    ...(command.commands.length === 0 ? [[name, command] as [string, Command]] : []),
    ...command.commands.flatMap((child) => leaves(child, `${name} `)),
  ];
};

test('every command that writes has it', async () => {
  const all = (await everyCommand()).flatMap((command) => leaves(command));
  expect(all.length).toBeGreaterThan(30);
  const lacking = all.filter(([, { options }]) => !options.some(({ long }) => long === '--dry-run'));
  expect(lacking.map(([name]) => name).sort()).toEqual([...PRINT_ONLY].sort());
});

const CASES: Readonly<Record<string, { args: () => string[]; writes: readonly string[]; plan: object }>> = {
  'check --html': {
    args: () => checked('--html', at('page.html')),
    writes: ['page.html'],
    plan: { command: 'check', notes: [expect.stringContaining('exit code would be 0')] },
  },
  'sign, by a new key': {
    args: () => signed(),
    writes: ['signed/model.sig', 'key.pem', 'key.pem.pub'],
    plan: { command: 'sign' },
  },
  'report harmlessness': {
    args: () => reported('--figure', at('means.svg')),
    writes: ['means.svg'],
    plan: { command: 'report harmlessness', settings: { flavour: 'adapter', margin: 1 } },
  },
  task: {
    args: () => ['task', open],
    writes: ['{open}/result.json'],
    plan: { command: 'task', settings: { task: 'open', does: 'eval' } },
  },
};
const placed = (name: string): string =>
  name.startsWith('{open}') ? name.replace('{open}', open) : at(name);
const everything = (): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

describe.each(Object.entries(CASES))('%s', (_, { args, writes, plan }) => {
  test('is planned, with nothing written, and keeps its plan', { timeout: 60_000 }, async () => {
    const there = everything();
    const { code, out } = await whorl(...args(), '--dry-run', '--json');
    expect(code).toBe(0);
    const said = JSON.parse(out) as DryRun;
    expect(said).toMatchObject({ dry_run: true, ...plan });
    expect(said.writes.map(({ path }) => path)).toEqual(writes.map(placed));
    expect(everything()).toEqual(there);
    expect(await whorl(...args())).toMatchObject({ code: 0 });
    for (const path of writes.map(placed)) expect(existsSync(path), path).toBe(true);
  });
});

test('what a check would end with is said, not done', async () => {
  const silent = ['check', at('silent.json')];
  const { code, out } = await whorl(...silent, '--dry-run');
  expect(code).toBe(0);
  expect(out).toContain('exit code would be 3');
  expect(await whorl(...silent)).toMatchObject({ code: 3 });
});

test('a task that has its result, and a signature by a key that is there', async () => {
  const again = await whorl('task', open, '--dry-run', '--json');
  expect(JSON.parse(again.out)).toMatchObject({ writes: [], notes: [expect.stringContaining('already')] });
  const { out } = await whorl(...signed(), '--dry-run', '--json');
  expect((JSON.parse(out) as DryRun).writes).toMatchObject([{ what: expect.stringContaining('1 files') }]);
});

test.each<[string, () => string[]]>([
  ['a certificate that does not hold', () => ['check', at('broken.json'), '--html', at('broken.html')]],
  ['a page below a file', () => checked('--html', at('certificate.json', 'page.html'))],
  ['a folder to sign that is not there', () => ['sign', at('none'), '--key', at('key.pem')]],
  ['a signature below a file', () => signed('--signature', at('certificate.json', 'model.sig'))],
  ['a new key below a file', () => ['sign', at('signed'), '--key', at('certificate.json', 'key.pem')]],
  ['a key that is none', () => ['sign', at('signed'), '--key', at('certificate.json')]],
  ['no results', () => ['report', 'harmlessness', 'sft_chat', at('harm')]],
  ['a figure below a file', () => reported('--figure', at('certificate.json', 'means.svg'))],
  ['a task of another model', () => ['task', done]],
  ['no task', () => ['task', at('data')]],
  ['no job', () => ['resume', at('data')]],
])('%s is refused in the same words', async (_, args) => {
  const there = everything();
  const dry = await whorl(...args(), '--dry-run');
  expect(dry.code).not.toBe(0);
  expect(everything()).toEqual(there);
  expect(dry).toEqual(await whorl(...args()));
});

test('a check of a signature writes nothing that could be planned', async () => {
  const { code, err } = await whorl(...signed('--check', '--dry-run'));
  expect(code).toBe(2);
  expect(err).toContain('--check writes nothing');
});
