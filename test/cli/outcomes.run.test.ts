// Outcomes when the world breaks: streams that go away, signals, and commands that are refused before any work.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = scratch();
const model = tinyModel(folder);
const GGUF = 'goldens/gguf/untied-mha-f16.gguf';

/** A shell line in which `whorl` is the program; Linux and macOS alike. */
function shell(line: string): { code: number; out: string; err: string } {
  const program = `${process.execPath} --import tsx ${MAIN}`;
  const script = `whorl() { ${program} "$@"; }; ${line}`;
  try {
    const out = execFileSync('bash', ['-c', `set -o pipefail; ${script}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { code: 0, out: String(out), err: '' };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer };
    return { code: status, out: String(stdout), err: String(stderr) };
  }
}

describe('streams that go away', () => {
  test.runIf(existsSync('/dev/full'))('a full stdout is said, with its own code', () => {
    const { code, err } = shell(`whorl inspect ${GGUF} --json > /dev/full`);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: stdout cannot be written: the disk is full: [^\n]+\n$/);
  });
  test('a reader that took nothing: no success', () => {
    for (const stream of ['', '--json'])
      expect(shell(`(sleep 1; whorl inspect ${GGUF} ${stream}) | head -c 0`)).toEqual({
        code: 1,
        out: '',
        err: '',
      });
  });
  test('generating ends with its reader', () => {
    const { code, err } = shell(
      `whorl generate --model ${model} --prompt a --prompt b --num-samples 500 --temperature 1 --max-new-tokens 40 --json 2>/dev/null | head -1 | wc -l`,
    );
    expect({ code, err }).toEqual({ code: 1, err: '' });
  });
  test.runIf(existsSync('/dev/full'))('a lost stderr does not stop the work', () => {
    expect(shell(`whorl inspect ${GGUF} --json 2> /dev/full`).code).toBe(0);
    expect(shell(`whorl generate --model ${model} --prompt a --max-new-tokens 2 2> /dev/full`)).toMatchObject(
      {
        code: 0,
        out: expect.stringContaining('a') as string,
      },
    );
    expect(shell('whorl inspect /nowhere/at-all 2> /dev/full').code).toBe(1);
  });
  test('a prompt without a terminal is refused, not waited for', () => {
    const { code, err } = shell(
      `whorl fingerprint --model ${model} --out ${folder}/asked --passphrase < /dev/null`,
    );
    expect(code).toBe(2);
    expect(err).toContain('no terminal to ask for the passphrase');
  });
});

describe('signals', () => {
  const data = join(folder, 'rows.json');
  writeFileSync(
    data,
    JSON.stringify(Array.from({ length: 64 }, () => ({ instruction: 'abc', output: 'def' }))),
  );
  const tune = (out: string) => [
    'finetune',
    '--model',
    model,
    '--data',
    data,
    '--out',
    out,
    'epochs=40',
    'batch=2',
    'checkpoint_every=100000',
  ];
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s in training: the step is kept, and the same command goes on',
    async (signal, expected) => {
      const out = join(folder, `tuned-${signal}`);
      const start = (killAt?: string) =>
        new Promise<{ code: number | null; err: string }>((resolve) => {
          const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...tune(out)], {
            stdio: ['ignore', 'ignore', 'pipe'],
            env: { ...process.env, WHORL_DEBUG: '' },
          });
          let err = '';
          child.stderr.on('data', (chunk: Buffer) => {
            err += String(chunk);
            if (killAt && err.includes(killAt)) {
              killAt = undefined;
              setTimeout(() => child.kill(signal), 1500);
            }
          });
          child.on('close', (code) => resolve({ code, err }));
        });
      const stopped = await start('fine-tuning');
      expect(stopped.err).toContain('stopped: the same command goes on from here');
      expect(stopped.code).toBe(expected);
      expect(existsSync(out)).toBe(false);
      expect(existsSync(join(`${out}.work`, 'state.ckpt'))).toBe(true);
      expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
      const resumed = await start();
      expect(resumed.err).toMatch(/resuming at step [1-9]/);
      expect(resumed.code).toBe(0);
    },
    240_000,
  );
});

describe('refused before any work', () => {
  const out = join(folder, 'refused');
  const fingerprint = ['fingerprint', '--model', 'nobody/fetches-this', '--out', out];
  const none = join(folder, 'none.json');
  const wrong = join(folder, 'wrong.json');
  writeFileSync(wrong, JSON.stringify([{ prompt_text: 'a', reply: 'b' }]));
  const adapter = [...fingerprint, '--method', 'adapter'];
  const sft = [...fingerprint, '--method', 'sft'];
  const pipeline = [
    'pipeline',
    'fingerprint',
    'alpaca',
    '--base-model',
    'nobody/fetches-this',
    '--root',
    out,
  ];
  const tune = ['finetune', '--model', 'nobody/fetches-this', '--data', wrong, '--out', out];
  test.each([
    [[...fingerprint, '--recipient', 'age1wrong'], 'age1wrong'],
    [[...fingerprint, 'trained=0'], 'trained=0'],
    [[...fingerprint, 'trained=100000'], 'trained=100000'],
    [[...fingerprint, '--trained', '100000'], 'trained=100000'],
    [[...adapter, 'dim=0'], 'dim=0'],
    [[...adapter, 'dim=100000'], 'dim=100000'],
    [[...adapter, 'trained=50', 'pool=20'], 'pool=20'],
    [[...fingerprint, 'check_every=0'], 'check_every=0'],
    [[...fingerprint, 'refresh=0'], 'refresh=0'],
    [[...fingerprint, 'steps=1.5'], 'steps=1.5'],
    [[...fingerprint, 'steps=-1'], 'steps=-1'],
    [[...fingerprint, 'lr=0'], 'lr=0'],
    [[...fingerprint, 'lr=NaN'], 'lr=NaN'],
    [[...fingerprint, 'alpha=1'], 'alpha=1'],
    [[...fingerprint, 'beta2=1'], 'beta2=1'],
    [[...fingerprint, 'common=maybe'], 'common=maybe'],
    [[...fingerprint, 'variety=101'], 'variety=101'],
    [[...fingerprint, 'step=3'], 'did you mean steps'],
    [[...fingerprint, '--keys', 'paper'], '--keys paper'],
    [[...adapter, '--decryption', ''], '--decryption'],
    [[...sft, 'batch_tokens=0'], 'batch_tokens=0'],
    [[...sft, 'recompute=all'], 'recompute=all'],
    [[...sft, '--source', none], none],
    [[...sft, '--source', wrong], wrong],
    [[...tune, 'lrr=3'], 'did you mean lr'],
    [[...tune, 'warmup_ratio=2'], 'warmup_ratio=2'],
    [[...tune, 'template=alpacca'], 'alpacca'],
    [[...tune, '--lora', 'r=0'], 'r=0'],
    [[...tune, '--merge'], '--lora'],
    [tune, 'prompt_text'],
    [[...pipeline, '--task-name', wrong], 'prompt_text'],
    [[...pipeline, '--task-name', none], none],
    [[...pipeline, '--task-name', wrong, 'alpaca.lrr=3'], 'alpaca.lrr=3'],
    [[...pipeline, '--task-name', wrong, 'alpaca.lrr=3'], 'did you mean alpaca.lr'],
    [[...pipeline, '--task-name', wrong, 'dim=0'], 'dim=0'],
    [[...pipeline, '--task-name', wrong, 'epoch=0'], 'epoch=0'],
    [['merge', '--model', model, '--adapter', none, '--out', model], model],
  ])('%j', async (args, named) => {
    const { code, out: printed, err } = await whorl(...args);
    expect({ failed: code === 1 || code === 2, printed }).toEqual({ failed: true, printed: '' });
    expect(err.trimEnd().split('\n').at(-1)).toMatch(/^error: /);
    expect(err).toContain(named);
    expect(err).not.toContain('a bug in whorl');
    expect(err).not.toContain('fetches-this'); // nobody was asked for it
    expect(existsSync(out)).toBe(false);
  });

  const commands: readonly (readonly [string, (out: string) => string[]])[] = [
    ['fingerprint', (out) => ['fingerprint', '--model', 'nobody/fetches-this', '--out', out]],
    ['finetune', (out) => ['finetune', '--model', 'nobody/fetches-this', '--data', wrong, '--out', out]],
    ['merge', (out) => ['merge', '--model', 'nobody/fetches-this', '--adapter', none, '--out', out]],
    [
      'convert',
      (out) => ['convert', '--model', 'nobody/fetches-this', '--to', 'gguf', '--type', 'f16', '--out', out],
    ],
    ['dataset mix', (out) => ['dataset', 'mix', '--source', none, '--out', out]],
    ['dataset chat', (out) => ['dataset', 'chat', '--source', none, '--out', out]],
    ['dataset alpaca', (out) => ['dataset', 'alpaca', '--source', none, '--out', out]],
    ['import', (out) => ['import', wrong, '--out', out]],
    ['demo', (out) => ['demo', '--out', out]],
    ['report', (out) => ['report', 'fsr', 'adapter', none, '--figure', `${out}/x.svg`]],
  ];
  test.each(commands)('%s: a place that cannot be is said first', async (_, of) => {
    const places = [join(wrong, 'below'), join(folder, 'n'.repeat(300))];
    if (process.platform === 'linux') places.push('/proc/whorl/x', '/sys/whorl');
    for (const place of places) {
      const { code, err } = await whorl(...of(place));
      expect({ place, code }).toEqual({ place, code: 1 });
      expect(err).toMatch(/^error: [^\n]+\n$/);
      expect(err).toContain(place.slice(0, 200));
      expect(err).not.toContain('a bug in whorl');
    }
  });
});

describe('a refused or failed run does not block its folder', () => {
  test('what differs is named; --overwrite starts anew; a folder of others is left alone', async () => {
    const out = join(folder, 'blocked');
    const args = ['fingerprint', '--model', model, '--out', out, '--seed', 'secret-seed'];
    // Too few free rows: said after the start was written, before anything was committed.
    const few = await whorl(...args, 'trained=2', 'key_length=2');
    expect(few).toMatchObject({ code: 1 });
    const other = await whorl(...args, 'trained=3', 'key_length=2');
    expect(few.err).toContain('4 are needed');
    expect(other.err).toContain('6 are needed'); // its own reason, not the folder's
    // With a commitment the folder is only taken up with its own options.
    writeFileSync(join(out, 'claim.json'), '{}');
    const blocked = await whorl(...args, 'trained=4', 'key_length=2');
    expect(blocked.err).toContain('trained: 3, now 4');
    expect(blocked.err).toContain('--overwrite');
    expect(blocked.err).not.toContain('secret-seed');
    const anew = await whorl(...args, 'trained=4', 'key_length=2', '--overwrite');
    // What was committed may have been shown: it is kept.
    expect(anew.err).toContain(`${out}.old-1`);
    expect(readFileSync(join(`${out}.old-1`, 'claim.json'), 'utf8')).toBe('{}');
    expect(existsSync(join(out, 'claim.json'))).toBe(false);
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'run.json'), '{"format": "else"}');
    const refused = await whorl('fingerprint', '--model', model, '--out', foreign, '--overwrite');
    expect(refused).toMatchObject({ code: 1 });
    expect(readdirSync(foreign)).toEqual(['run.json']);
  });
  test('a finished run is moved aside', async () => {
    const out = join(folder, 'finished');
    mkdirSync(out);
    writeFileSync(join(out, 'run.json'), '{"format": "whorl-run"}');
    const { err } = await whorl('fingerprint', '--model', model, '--out', out, 'trained=2', '--overwrite');
    expect(err).toContain(`${out}.old-1`);
    expect(readdirSync(`${out}.old-1`)).toEqual(['run.json']);
  });
});
