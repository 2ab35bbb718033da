// What the command line refuses of a list before anybody is asked, and its plan.

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DryRun } from '../../src/base/dry-run.ts';
import { takeLock } from '../../src/fleet/lock.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { bindings } from '../claim/plans.ts';
import { finished } from '../cli/finished-run.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';

let folder: string;
let run: RunFolder;
const at = (...names: string[]): string => join(folder, ...names);
beforeAll(async () => {
  folder = scratch();
  run = await finished(at('run'), tinyModel(folder), bindings);
  writeFileSync(at('list'), 'tiny\nhttps://host/v1 m\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const verify = (...more: string[]) => whorl('verify', '--secret', run.secret, ...more);
const ofList = (...more: string[]) => verify('--suspects', at('list'), ...more);

describe('refused', () => {
  test.each<[string, () => ReturnType<typeof whorl>, RegExp]>([
    ['no suspect at all', () => verify(), /no suspect is named/],
    ['both', () => ofList('--out', at('out'), '--suspect', 'x'), /--suspect beside --suspects/],
    ['no folder', () => ofList(), /--out/],
    ['a certificate', () => ofList('--out', at('out'), '--certificate', 'c', '--key', 'k'), /opens keys/],
    ['key by key', () => ofList('--out', at('out'), '--until', 'matches'), /--until goes with --suspect/],
    [
      'the vanilla model of a claim without a stamp',
      () => ofList('--out', at('out'), '--vanilla', 'x'),
      /--vanilla goes with a claim that has a stamp/,
    ],
    [
      'the model of one server',
      () => ofList('--out', at('out'), '--model-name', 'm'),
      /--model-name goes with --suspect/,
    ],
    [
      'one transcript',
      () => ofList('--out', at('out'), '--transcript', 't'),
      /--transcript goes with --suspect/,
    ],
    [
      'Ray’s address without Ray',
      () => ofList('--out', at('out'), '--address', 'http://h'),
      /--address goes with --launch ray/,
    ],
    [
      'a launcher of one suspect',
      () => verify('--suspect', 'x', '--launch', 'ray'),
      /--launch goes with a list/,
    ],
    ['a folder of one suspect', () => verify('--suspect', 'x', '--out', 'y'), /--out goes with a list/],
    [
      'eval without a model',
      () => whorl('eval', '--tasks', 'piqa', '--data', folder, '--out', at('out')),
      /--model is not given: give it, or --models/,
    ],
    [
      'eval with both',
      () =>
        whorl(
          'eval',
          '--tasks',
          'piqa',
          '--data',
          folder,
          '--out',
          at('out'),
          '--models',
          at('list'),
          '--model',
          'x',
        ),
      /--model beside --models/,
    ],
  ])('%s', async (_, call, words) => {
    const { code, err, out } = await call();
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.trimEnd().split('\n').at(-1)).toMatch(words);
    expect(existsSync(at('out'))).toBe(false);
  });
  test('a scheduler that cannot be reached: one line, and the folder goes on later', async () => {
    const { code, err } = await ofList(
      '--out',
      at('ray'),
      '--launch',
      'ray',
      '--address',
      'http://127.0.0.1:9',
    );
    expect(code).toBe(1);
    expect(err.trimEnd().split('\n').at(-1)).toMatch(
      /^error: Ray at http:\/\/127.0.0.1:9 refuses .*ray start --head/,
    );
    expect(readdirSync(at('ray')).sort()).toEqual(['fleet.json', 'tasks']);
    expect(readdirSync(at('ray', 'tasks'))).toHaveLength(2);
  });
});

test('what all are asked with is in the plan, and so in each task', async () => {
  const { out } = await ofList(
    ...['--out', at('planned'), '--ranks', '--without-stamp', '--keys', '2', '--dry-run', '--json'],
  );
  expect((JSON.parse(out) as DryRun).settings).toMatchObject({ ranks: true, withoutStamp: true, keys: 2 });
});

test('the plan: who would be asked, nothing written', async () => {
  const { code, out } = await ofList('--out', at('planned'), '--dry-run', '--json');
  expect(code).toBe(0);
  const plan = JSON.parse(out) as DryRun;
  expect(plan.models.map(({ role, source }) => [role, source])).toEqual([
    ['tiny', at('tiny')],
    ['https://host/v1 m', 'https://host/v1'],
  ]);
  expect(plan.notes).toEqual(['2 suspects']);
  expect(existsSync(at('planned'))).toBe(false);
});

describe('a lock', () => {
  const lock = (): string => at('lock');
  const heldBy = (host: string, pid: number) => writeFileSync(lock(), JSON.stringify({ host, pid }));
  test('is given back, and taken by one at a time', () => {
    const release = takeLock(lock(), 'refuse');
    expect(() => takeLock(lock(), 'refuse')).toThrow(/works here/);
    release();
    expect(existsSync(lock())).toBe(false);
  });
  test('of a process that is gone is taken over; of one that is there, not', () => {
    heldBy(hostname(), 2 ** 22 + 1); // above what Linux gives
    takeLock(lock(), 'refuse')();
    heldBy(hostname(), process.ppid);
    expect(() => takeLock(lock(), 'take-over')).toThrow(/works here/);
    rmSync(lock());
  });
  test('of another machine: as the caller knows', () => {
    heldBy('elsewhere', 1);
    expect(() => takeLock(lock(), 'refuse')).toThrow(/process 1 of elsewhere/);
    takeLock(lock(), 'take-over')();
    expect(existsSync(lock())).toBe(false);
  });
  test('that is no lock is taken over', () => {
    writeFileSync(lock(), 'x');
    takeLock(lock(), 'refuse')();
  });
});
