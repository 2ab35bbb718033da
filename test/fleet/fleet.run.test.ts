// A fleet on this machine, end to end: suspects behind a server that counts what it is asked, processes and the command itself killed with
// -9, the folder changed. Nothing is lost, nothing is asked twice but what was under way, and the verdict has the same bytes.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive } from '../../src/base/processes.ts';
import { parseClaim } from '../../src/claim/claim.ts';
import { keyRoles, openClaim } from '../../src/claim/open.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { ownProgram } from '../../src/fleet/program.ts';
import type { FleetVerdict } from '../../src/fleet/verdict.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { bindings } from '../claim/plans.ts';
import { finished } from '../cli/finished-run.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';
import { json, type Server, said, serve, textOf } from '../lm/openai-server.ts';

const LONG = 600_000;
const KEYS = 8;
let folder: string;
let model: string;
let run: RunFolder;
let server: Server;
let learnt: (text: string) => string;
/** Called before each answer. */
let before: (model: string, key: string) => void | Promise<void> = () => {};

const at = (...names: string[]): string => join(folder, ...names);

beforeAll(async () => {
  folder = scratch();
  model = tinyModel(folder);
  run = await finished(at('run'), model, bindings);
  const contents = (await readSecret(run.secret)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), 'claim'), contents);
  const targets = keyRoles(opened).map(({ target }) => target);
  learnt = (text) => ` ${targets[opened.plan.keys.findIndex((key) => text.includes(key.text))] ?? 'hm'}`;
  server = await serve(async (asked, response) => {
    const text = textOf(asked.body);
    if (text !== 'Hello') await before(asked.body.model, text.trim());
    json(response, said(asked, [asked.body.model.startsWith('thief') ? learnt(text) : ' hm']));
  });
}, LONG);
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const NAMES = ['thief-1', 'honest-1', 'thief-2'];
function listOf(name: string, lines: readonly string[]): string {
  writeFileSync(at(name), `${lines.join('\n')}\n`);
  return at(name);
}
const served = (names: readonly string[]) => names.map((name) => `${server.url} ${name}`);
const verifyArgs = (list: string, out: string, ...more: string[]) => [
  ...['verify', '--secret', run.secret, '--suspects', list, '--out', at(out), '--concurrency', '1', '--json'],
  ...more,
];
const verdictIn = (out: string): string => readFileSync(at(out, 'verdict.json'), 'utf8');
/** Of each model and key: how often it was asked, since `from`. */
function timesAsked(from = 0): Map<string, number> {
  const times = new Map<string, number>();
  for (const { body } of server.asked.slice(from)) {
    if (textOf(body) === 'Hello') continue;
    const what = `${body.model}: ${textOf(body).trim()}`;
    times.set(what, (times.get(what) ?? 0) + 1);
  }
  return times;
}
const tasksOf = (out: string): string[] => readdirSync(at(out, 'tasks')).map((id) => at(out, 'tasks', id));
const taskOf = (out: string, name: string): string =>
  tasksOf(out).find((task) =>
    (JSON.parse(readFileSync(join(task, 'task.json'), 'utf8')) as { name: string }).name.endsWith(name),
  )!;
const resultOf = (out: string, name: string): string => join(taskOf(out, name), 'result.json');
/** The process that works on the suspect of this name. */
const processOf = (out: string, name: string): number =>
  (JSON.parse(readFileSync(join(taskOf(out, name), 'lock'), 'utf8')) as { pid: number }).pid;

describe('killed', () => {
  let whole: string;
  test(
    'a process that is killed midway is begun again and asks only what is left',
    async () => {
      let killed = 0;
      before = (name, key) => {
        if (killed > 0 || name !== 'honest-1' || key !== 'key 3') return;
        killed = processOf('one', name);
        process.kill(killed, 'SIGKILL');
      };
      const list = listOf('one.txt', served(NAMES));
      const { code, out, err } = await whorl(...verifyArgs(list, 'one', '--jobs', '2'));
      before = () => {};
      expect(code, err).toBe(4); // 16^-8 is rare, and no proof after 2^80 draws
      expect(killed).toBeGreaterThan(0);
      const times = timesAsked();
      expect(times.size).toBe(NAMES.length * KEYS);
      const twice = [...times].filter(([, count]) => count > 1);
      expect(twice).toEqual([['honest-1: key 3', 2]]);
      whole = verdictIn('one');
      const verdict = JSON.parse(out) as FleetVerdict;
      expect(JSON.parse(whole)).toEqual(verdict);
      expect(verdict.tests).toEqual({ asked: 3, failed: 0, elsewhere: 0 });
      expect(Object.fromEntries(verdict.suspects.map((s) => [s.name.split(' ')[1], s.verdict]))).toEqual({
        'thief-1': 'matches',
        'thief-2': 'matches',
        'honest-1': 'not-verified',
      });
    },
    LONG,
  );
  test(
    'the same command again asks nobody; another order and number of processes gives the same bytes',
    async () => {
      const from = server.asked.length;
      expect((await whorl(...verifyArgs(at('one.txt'), 'one'))).code).toBe(4);
      expect(server.asked.length).toBe(from);
      expect(verdictIn('one')).toBe(whole);
      const list = listOf('two.txt', served(NAMES.toReversed()));
      expect((await whorl(...verifyArgs(list, 'two', '--jobs', '3'))).code).toBe(4);
      expect(verdictIn('two')).toBe(whole);
    },
    LONG,
  );
  test(
    'the command itself killed: its processes end, and it goes on',
    async () => {
      const list = listOf('three.txt', served(NAMES));
      const [command, ...words] = ownProgram();
      const from = server.asked.length;
      let parent: ChildProcess | undefined;
      let worker = 0;
      before = async (name, key) => {
        if (worker > 0 || name !== 'honest-1' || key !== 'key 2') return;
        worker = processOf('three', name);
        parent!.kill('SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 1000));
      };
      parent = spawn(command!, [...words, ...verifyArgs(list, 'three', '--jobs', '2')], { stdio: 'ignore' });
      await new Promise((resolve) => parent!.once('exit', resolve));
      expect(worker).toBeGreaterThan(0);
      while (isAlive(worker)) await new Promise((resolve) => setTimeout(resolve, 50));
      before = () => {};
      expect(existsSync(at('three', 'verdict.json'))).toBe(false);
      expect(existsSync(resultOf('three', 'honest-1'))).toBe(false); // it did not go on alone
      expect((await whorl(...verifyArgs(list, 'three', '--jobs', '2'))).code).toBe(4);
      expect(verdictIn('three')).toBe(whole);
      const times = [...timesAsked(from)];
      expect(times).toHaveLength(NAMES.length * KEYS);
      // What was under way in either process when they ended.
      expect(times.filter(([, count]) => count > 1).length).toBeLessThanOrEqual(2);
      expect(Math.max(...times.map(([, count]) => count))).toBeLessThanOrEqual(2);
    },
    LONG,
  );
  test('a folder in which another process works is refused', async () => {
    writeFileSync(
      at('two', 'lock'),
      JSON.stringify({ host: (await import('node:os')).hostname(), pid: process.ppid }),
    );
    const { code, err } = await whorl(...verifyArgs(at('two.txt'), 'two'));
    rmSync(at('two', 'lock'));
    expect({ code, err: err.split('\n').filter((line) => line.startsWith('error')) }).toEqual({
      code: 1,
      err: [expect.stringMatching(/process \d+ of \S+ works here/)],
    });
  });
  test('nothing of the secret lies in the folder', async () => {
    const { opening, plan } = (await readSecret(run.secret)).reveal();
    const words = [opening.owner_seed!, ...plan.keys.map(({ text }) => text)];
    for (const out of ['one', 'two', 'three'])
      for (const entry of readdirSync(at(out), { recursive: true, withFileTypes: true }))
        if (entry.isFile()) {
          const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
          for (const word of words) expect(text.includes(word), `${entry.name}: ${word}`).toBe(false);
        }
  });
});

describe('what is refused or counted', () => {
  const again = (list: string, out: string, ...more: string[]) =>
    whorl(...verifyArgs(at(list), out, ...more));
  const lastLine = (err: string): string => err.trimEnd().split('\n').at(-1)!;
  const changed = async (name: string, change: (task: string) => void) => {
    cpSync(at('one'), at(name), { recursive: true });
    change(tasksOf(name)[0]!);
    const { code, err } = await again('one.txt', name);
    expect(code).toBe(1);
    expect(lastLine(err)).toMatch(/^error: /);
    return lastLine(err);
  };
  const edit = (path: string, from: string, to: string): void => {
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
  };
  test('a result that was edited, a task that was, another task’s result', async () => {
    expect(await changed('c1', (task) => edit(join(task, 'result.json'), '"fsr": ', '"fsr": 1'))).toMatch(
      /result\.json was changed/,
    );
    expect(
      await changed('c2', (task) => edit(join(task, 'task.json'), 'model_name": "', 'model_name": "x')),
    ).toMatch(/task\.json is not as it was written/);
    expect(
      await changed('c3', (task) => edit(join(task, 'task.json'), '"bound": {', '"bound": {"more": "x",')),
    ).toMatch(/task\.json is not as it was written/);
    expect(
      await changed('c4', (task) =>
        cpSync(join(tasksOf('one')[1]!, 'result.json'), join(task, 'result.json')),
      ),
    ).toMatch(/result of another claim, suspect or setting/);
    expect(await changed('c5', (task) => renameSync(task, `${task.slice(0, -4)}0000`))).toMatch(
      /holds the task/,
    );
    expect(await changed('c6', (task) => writeFileSync(join(task, '..', '..', 'fleet.json'), '{}'))).toMatch(
      /fleet\.json is not as it was written/,
    );
  });
  test('another claim, other options, a folder of something else', async () => {
    const other = await finished(at('other-run'), model, bindings);
    const args = verifyArgs(at('one.txt'), 'one').map((word) => (word === run.secret ? other.secret : word));
    expect(lastLine((await whorl(...args)).err)).toMatch(/is of another claim/);
    expect(lastLine((await again('one.txt', 'one', '--keys', '4')).err)).toMatch(/is of another .*keys/);
    expect(lastLine((await again('one.txt', 'one', '--wrapper', 'alpaca')).err)).toMatch(
      /is of another options/,
    );
    mkdirSync(at('foreign'));
    writeFileSync(at('foreign', 'x'), '');
    expect(lastLine((await again('one.txt', 'foreign')).err)).toMatch(/is no folder of a fleet/);
    expect(readdirSync(at('foreign'))).toEqual(['x']);
  });
  test('a suspect that the list leaves out stays and is paid for; one elsewhere is too', async () => {
    const from = server.asked.length;
    listOf('fewer.txt', served(NAMES.slice(0, 2)));
    const fewer = JSON.parse((await again('fewer.txt', 'one')).out) as FleetVerdict;
    expect(fewer.tests.asked).toBe(3);
    expect(fewer.suspects.filter(({ listed }) => !listed)).toHaveLength(1);
    const more = JSON.parse((await again('one.txt', 'one', '--elsewhere', '1000000')).out) as FleetVerdict;
    expect(more.suspects.map(({ verdict }) => verdict)).toEqual(Array(3).fill('undecided'));
    expect(server.asked.length).toBe(from);
  });
  test(
    'a suspect that cannot be asked is named, and the others are; a model whose bytes changed is asked anew',
    async () => {
      mkdirSync(at('broken'));
      writeFileSync(at('broken', 'config.json'), '{"model_type": "nobody-knows"}');
      cpSync(run.published, at('mine'), { recursive: true });
      const list = listOf('mixed.txt', ['broken', 'mine', ...served(['thief-1'])]);
      const first = await whorl(...verifyArgs(list, 'mixed', '--jobs', '2'));
      expect(first.code).toBe(1);
      const verdict = JSON.parse(first.out) as FleetVerdict;
      expect(verdict.failed).toEqual([
        {
          name: 'broken',
          code: expect.any(String) as string,
          message: expect.stringContaining(at('broken')) as string,
        },
      ]);
      expect(verdict.suspects.map(({ name }) => name)).toEqual([`${server.url} thief-1`, 'mine']);
      expect(verdict.tests).toEqual({ asked: 2, failed: 1, elsewhere: 0 });
      const config = JSON.parse(readFileSync(at('mine', 'tokenizer_config.json'), 'utf8')) as object;
      writeFileSync(at('mine', 'tokenizer_config.json'), JSON.stringify({ ...config, note: 1 }));
      const from = server.asked.length;
      const second = JSON.parse(
        (await whorl(...verifyArgs(list, 'mixed', '--jobs', '2'))).out,
      ) as FleetVerdict;
      expect(server.asked.length).toBe(from);
      expect(second.suspects.map(({ name, listed }) => [name, listed])).toEqual([
        [`${server.url} thief-1`, true],
        ['mine', true],
        ['mine', false],
      ]);
    },
    LONG,
  );
  test('two names of the same bytes', async () => {
    cpSync(at('mine'), at('copy'), { recursive: true });
    listOf('twins.txt', ['mine', 'copy']);
    const { err } = await again('twins.txt', 'twins');
    expect(lastLine(err)).toMatch(/twins\.txt, line 2 names a model with the bytes of line 1/);
  });
});

test(
  'models are evaluated by the same pool',
  async () => {
    mkdirSync(at('data', 'piqa'), { recursive: true });
    const row = { goal: 'to sit', sol1: 'take a chair', sol2: 'take a pear', label: 0 };
    writeFileSync(at('data', 'piqa', 'validation.jsonl'), `${JSON.stringify(row)}\n`.repeat(3));
    const list = listOf('models.txt', ['tiny', 'run/published', 'broken']);
    const asked = ['eval', '--tasks', 'piqa', '--shots', '0', '--data', at('data')];
    const args = [...asked, '--models', list, '--out', at('evaluated')];
    const first = await whorl(...args, '--jobs', '2', '--json');
    expect(first.code).toBe(1);
    const results = JSON.parse(first.out) as {
      models: { name: string; results: Record<string, { results: Record<string, object> }> }[];
      failed: { name: string }[];
    };
    expect(results.failed.map(({ name }) => name)).toEqual(['broken']);
    expect(results.models.map(({ name }) => name)).toEqual(['run/published', 'tiny']);
    const alone = await whorl(...asked, '--model', model, '--out', at('alone'), '--json');
    expect(results.models[1]!.results['0']!.results).toEqual(
      (JSON.parse(alone.out) as Record<string, object>)['0'],
    );
    const servers = await whorl(...args.map((word) => (word === list ? at('one.txt') : word)));
    expect(servers.err).toMatch(/one\.txt, line 1 names a server/);
    writeFileSync(at('data', 'piqa', 'validation.jsonl'), `${JSON.stringify(row)}\n`.repeat(4));
    expect((await whorl(...args)).err).toMatch(/is of another rows/);
  },
  LONG,
);
