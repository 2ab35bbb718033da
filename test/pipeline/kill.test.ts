// A pipeline that is killed at a few moments and called again each time ends with the same files as one that was not.
// bench/kill-pipeline.ts does it twenty times, for both flavours.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { contentsOf, isLeftOver, runPipeline } from './killing.ts';
import { MODEL, SETTINGS, SMALL_TASK } from './small-run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-pipeline-kill-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const task = join(scratch, 'few.json');
const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const COMMAND = [
  process.execPath,
  '--import',
  'tsx',
  MAIN,
  'pipeline',
  ...['fingerprint', 'alpaca', 'ownership_verify'],
  ...[
    '--base_model',
    MODEL,
    '--task_name',
    task,
    '-t',
    'barebone',
    '--seed',
    'a test of the pipeline',
    '--decryption',
    'river',
  ],
  ...Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`),
];

test('killed, killed again and finished: the same bytes as in one go', async () => {
  writeFileSync(task, JSON.stringify(SMALL_TASK));
  const [whole, broken] = [join(scratch, 'whole'), join(scratch, 'broken')];
  for (const folder of [whole, broken]) mkdirSync(folder);
  const full = await runPipeline(COMMAND, whole, 200_000);
  expect(full.err.split('\n').filter((line) => line.startsWith('error'))).toEqual([]);
  expect(full.code).toBe(0);
  let kills = 0;
  for (const share of [0.5, 0.5, 0.6]) {
    const { code } = await runPipeline(COMMAND, broken, share * full.ms);
    if (code === null) kills++;
  }
  expect(kills).toBeGreaterThan(0);
  expect((await runPipeline(COMMAND, broken, 200_000)).code).toBe(0);
  const kept = Object.entries(contentsOf(broken)).filter(([name]) => !isLeftOver(name));
  expect(Object.fromEntries(kept)).toEqual(contentsOf(whole));
}, 600_000);
