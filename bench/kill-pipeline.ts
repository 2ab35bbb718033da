// Kills `whorl pipeline fingerprint alpaca ownership_verify` with SIGKILL at random moments on the embedded model, calls it
// again each time, and compares every file with those of a run in one go.
//   npx tsx bench/kill-pipeline.ts [--kills 20] [--seed 1] [--config adapter|sft_chat]   (after npm run build)

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../src/base/random-source.ts';
import { contentsOf, isLeftOver, runPipeline } from '../test/pipeline/killing.ts';
import { MODEL, SETTINGS, SMALL_TASK } from '../test/pipeline/small-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    config: { type: 'string', default: 'adapter' },
  },
});
const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'whorl-kill-pipeline-'));
const task = join(work, 'few.json');
writeFileSync(task, JSON.stringify(SMALL_TASK));
const settings =
  values.config === 'adapter'
    ? Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`)
    : ['--settings', join(root, 'examples/embedded-sft.yaml'), '--samples', '200'];
const command = [
  process.execPath,
  join(root, 'dist/cli.js'),
  ...['pipeline', 'fingerprint', 'alpaca', 'ownership_verify', '--config', values.config],
  ...[
    '--base_model',
    MODEL,
    '--task_name',
    task,
    '--seed',
    'a test of the pipeline',
    '--decryption',
    'river',
  ],
  ...settings,
];
const fresh = (name: string): string => {
  const folder = join(work, name);
  mkdirSync(folder);
  return folder;
};

const random = seededRandom(values.seed);
const whole = fresh('whole');
const full = await runPipeline(command, whole);
if (full.code !== 0)
  throw new Error(`the uninterrupted run ended with ${full.code}: ${full.err.slice(-500)}`);
const expected = JSON.stringify(contentsOf(whole));
console.log(`uninterrupted: ${(full.ms / 1000).toFixed(1)} s`);

const matches = (folder: string): boolean => {
  const kept = Object.entries(contentsOf(folder)).filter(([name]) => !isLeftOver(name));
  return JSON.stringify(Object.fromEntries(kept)) === expected;
};
let [kills, finished, different, failed] = [0, 0, 0, 0];
let folder = fresh('killed-0');
const ended = (code: number | null): void => {
  finished++;
  if (code !== 0) failed++;
  else if (!matches(folder)) different++;
  rmSync(folder, { recursive: true, force: true });
};
while (kills < Number(values.kills)) {
  const { code, ms } = await runPipeline(command, folder, {
    ms: 200 + random.int(Math.round(full.ms)),
  });
  if (code === null) {
    console.log(`kill ${++kills} after ${(ms / 1000).toFixed(1)} s`);
    continue;
  }
  ended(code);
  folder = fresh(`killed-${finished}`);
}
ended((await runPipeline(command, folder)).code);
rmSync(work, { recursive: true, force: true });
console.log(
  `${kills} kills, ${finished} runs brought to their end, ${different} with other bytes, ${failed} failures`,
);
process.exitCode = different + failed > 0 ? 1 : 0;
