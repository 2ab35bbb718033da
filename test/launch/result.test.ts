// What comes back from another machine, read as a stranger's: results that no run of the job can have left, states that are not
// what trains, and words that no job says. Each is one line, and nothing is taken in.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import { launchFinetune } from '../../src/finetune/user-finetune.ts';
import { jobLines } from '../../src/launch/here.ts';
import { isWaiting } from '../../src/launch/job.ts';
import { keptState, readResult } from '../../src/launch/result.ts';
import { arrayEntry, safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-result-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const job = join(scratch, 'job');
const result = join(job, 'result');
beforeEach(() => {
  rmSync(job, { recursive: true, force: true });
  mkdirSync(result, { recursive: true });
});

const FILE = 'step-00000004.safetensors';
const WHOLE = {
  ...{
    format: 'whorl-job-result',
    version: 1,
    job: 'ID',
    done: true,
    steps: 4,
    losses: [4, 3, 2, 1],
    seconds: 1,
  },
  ...{ kept: [{ step: 4, file: FILE, sha256: 'x' }], torch: '2.11.0', transformers: '5.24.0' },
  ...{ ranks: 1, device: 'cpu' },
};
const read = (said: object | string) => {
  writeFileSync(join(result, 'result.json'), typeof said === 'string' ? said : JSON.stringify(said));
  return readResult(job, 'ID', { steps: 4, keep: [2, 4] });
};
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken in';
};

describe('a result', () => {
  test('that a run of the job may have left is read', () => {
    expect(readResult(job, 'ID', { steps: 4, keep: [4] })).toBeUndefined();
    expect(read(WHOLE)).toMatchObject({ steps: 4 });
    const two = { step: 2, file: 'step-00000002.safetensors', sha256: 'x' };
    expect(read({ ...WHOLE, kept: [two, ...WHOLE.kept] })).toMatchObject({ done: true });
    expect(read({ ...WHOLE, steps: 2, losses: [4, 3], kept: [two] })).toMatchObject({ done: true }); // found to hold
    expect(read({ ...WHOLE, done: false, steps: 3, losses: [4, 3, 2], kept: [two] })).toMatchObject({
      done: false,
    });
  });

  const kept = (...steps: number[]) => steps.map((step) => ({ step, file: FILE, sha256: 'x' }));
  test.each<[string, object | string, RegExp]>([
    ['cut', JSON.stringify(WHOLE).slice(0, -9), /is no result of a job/],
    ['empty', '', /is no result of a job/],
    ['with a loss that is no number', JSON.stringify(WHOLE).replace('[4,', '[NaN,'), /is no result of a job/],
    ['of another job', { ...WHOLE, job: 'OTHER' }, /is the result of another job/],
    ['of more steps', { ...WHOLE, steps: 5, losses: [5, 4, 3, 2, 1] }, /has 5 steps, the job 4/],
    ['of fewer losses', { ...WHOLE, losses: [4, 3] }, /has 2 losses of 4 steps/],
    ['without a state', { ...WHOLE, kept: [] }, /has no state of its last step, 4/],
    [
      'that ended before its end',
      { ...WHOLE, steps: 3, losses: [4, 3, 2], kept: kept(2) },
      /no state of its last step, 3/,
    ],
    ['with a state of another step', { ...WHOLE, kept: kept(3, 4) }, /state after step 3/],
    ['with a state twice', { ...WHOLE, kept: kept(4, 4) }, /state after step 4/],
    [
      'with a state of a step to come',
      { ...WHOLE, steps: 2, losses: [4, 3], kept: kept(2, 4) },
      /state after step 4/,
    ],
  ])('%s is refused', (_, said, words) => {
    const line = refusal(() => read(said));
    expect(line).toMatch(words);
    expect(line).toMatch(/: copy [^\n]+$/);
  });
});

describe('a state', () => {
  const SHAPES = new Map([['w', [2, 3]]]);
  const state = (bytes: Uint8Array) => {
    writeFileSync(join(result, FILE), bytes);
    return keptState(job, { step: 4, file: FILE, sha256: sha256Hex(bytes) }, SHAPES);
  };
  const of = (...values: number[]) => safetensorsBytes([arrayEntry('w', Float32Array.from(values), [2, 3])]);

  test('of what trains is read', () => {
    expect([...state(of(1, 2, 3, 4, 5, 6)).slots.get('w')!.value]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'of other shapes',
      safetensorsBytes([arrayEntry('w', new Float32Array(6), [3, 2])]),
      /has no w of \[2,3\] in float32/,
    ],
    [
      'of another dtype',
      safetensorsBytes([arrayEntry('w', new Int32Array(6), [2, 3])]),
      /has no w of \[2,3\] in float32/,
    ],
    ['without a tensor', safetensorsBytes([arrayEntry('v', new Float32Array(6), [2, 3])]), /has no w of/],
    ['that was cut', of(1, 2, 3, 4, 5, 6).subarray(0, -4), /step-00000004\.safetensors/],
    ['with NaN', of(1, 2, Number.NaN, 4, 5, 6), /w holds values that are no numbers: train anew/],
    ['with an infinity', of(1, 2, 3, 4, 5, Number.NEGATIVE_INFINITY), /w holds values that are no numbers/],
  ])('%s is refused', (_, bytes, words) => {
    // However its values are come by.
    for (const values of [
      () => state(bytes).slots.get('w'),
      () => [...state(bytes).slots.values()],
      () => [...state(bytes).slots],
    ])
      expect(refusal(values)).toMatch(words);
  });
});

test('lines that no job says are passed over', () => {
  const lines = [
    ...['7', '"x"', 'null', '[]', '{}', '{"kind": "step"}', '{"kind": "step", "step": 1, "loss": "low"}'],
    ...['{"kind": "step", "step": -1, "loss": 1}', '{"kind": "odd", "step": 1}', '{"kind": "st'],
  ];
  writeFileSync(
    join(result, 'progress.jsonl'),
    [...lines, '{"kind": "step", "step": 2, "loss": 1}'].join('\n'),
  );
  expect(jobLines(job)).toEqual([{ kind: 'step', step: 2, loss: 1 }]);
});

test('a ticket that was damaged: one line, and the job waits where it is', async () => {
  const data = join(scratch, 'rows.json');
  writeFileSync(data, JSON.stringify([{ instruction: 'Count', input: '', output: 'One' }]));
  const out = join(scratch, 'tuned');
  const asked = {
    ...{ model: join(packageRoot(), 'assets/embedded/model'), data, out, lora: true },
    ...{ settings: { epochs: 1, batch: 1 }, launch: { engine: 'torchrun' } as const },
  };
  const written = await launchFinetune(asked);
  if (!isWaiting(written)) throw new Error('nothing waits');
  const ticket = join(`${out}.work`, 'job.json');
  const whole = JSON.stringify({ job: written.id, asked: 'x' });
  writeFileSync(ticket, whole.slice(0, -5));
  await expect(launchFinetune(asked)).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringContaining(`${ticket} is damaged`) as string,
  });
  writeFileSync(ticket, whole);
  await expect(launchFinetune(asked)).rejects.toMatchObject({ code: 'mismatch' });
  expect(existsSync(join(written.job, 'manifest.json'))).toBe(true);
  expect(existsSync(out)).toBe(false);
});
