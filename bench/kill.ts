// Kills `whorl fingerprint` with SIGKILL at random moments, resumes it each time, and compares what is published with
// an uninterrupted run's bytes.   npx tsx bench/kill.ts [--kills 20] [--seed 1]   (after npm run build)

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../src/base/random-source.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
});
const kills = Number(values.kills);
const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'whorl-kill-'));
/** Small, and with a gate that anything passes: what is tested is the road, not what is learnt. */
const SETTINGS =
  'trained=6 candidates=64 variety=30 gate_contexts=1 gate_slack=6 bare_slack=6 check_below=1000 kl_target=1000 steps=40 first_check=40 primary_positions=200 reference_positions=4';
const command = (out: string): string[] => [
  join(root, 'dist/cli.js'),
  'fingerprint',
  '--model',
  join(root, 'assets/embedded/model'),
  '--out',
  out,
  '--seed',
  'kill',
  '--max-harm',
  'Infinity',
  ...SETTINGS.split(' '),
];

/** Runs to the end, or is killed after `limit` ms. @returns exit code, null when killed, and the time taken */
function run(out: string, limit: number): Promise<{ code: number | null; ms: number }> {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, command(out), { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, ms: Date.now() - started });
    });
  });
}

const digest = (folder: string): string => {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort())
    hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
};

const random = seededRandom(values.seed);
const whole = join(work, 'whole');
const full = await run(whole, 600_000);
if (full.code !== 0) throw new Error(`the uninterrupted run ended with ${full.code}`);
const expected = digest(join(whole, 'published'));
const files = readdirSync(join(whole, 'published')).sort().join();
console.log(`uninterrupted: ${(full.ms / 1000).toFixed(1)} s, published ${expected.slice(0, 16)}`);

let [done, finished, partial, different, early] = [0, 0, 0, 0, 0];
let out = join(work, 'killed-0');
while (done < kills) {
  const limit = 200 + random.int(Math.max(1, Math.round(full.ms * 1.05)));
  const { code, ms } = await run(out, limit);
  const published = join(out, 'published');
  if (existsSync(published) && readdirSync(published).sort().join() !== files) partial++;
  if (code === null) {
    done++;
    console.log(
      `kill ${done} after ${(ms / 1000).toFixed(1)} s; published ${existsSync(published) ? 'complete' : 'absent'}`,
    );
    continue;
  }
  if (code !== 0) early++;
  finished++;
  if (digest(published) !== expected) different++;
  out = join(work, `killed-${finished}`);
}
const last = await run(out, 600_000);
if (last.code === 0) {
  finished++;
  if (digest(join(out, 'published')) !== expected) different++;
} else early++;
rmSync(work, { recursive: true, force: true });
console.log(
  `${done} kills, ${finished} runs brought to their end, ${different} with other bytes, ${partial} partial folders, ${early} failures`,
);
process.exitCode = different + partial + early > 0 ? 1 : 0;
