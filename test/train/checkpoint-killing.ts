// Kills a process that writes checkpoints with SIGKILL at random moments and loads what then stands there.
// Used by checkpoint-kill.test.ts with few kills and by bench/kill-checkpoint.ts with many.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/base/random-source.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { loadCheckpoint } from '../../src/train/checkpoint.ts';

const CHILD = new URL('checkpoint-child.ts', import.meta.url).pathname;
const ELEMENTS = 1 << 18; // 3 MB of state, 1 MB of weights

export interface Killing {
  kills: number;
  /** Kills that fell into a write: they left a temporary file. */
  inWrite: number;
  /** Step of the last checkpoint, and of the weights written after it. */
  steps: number;
  weights: number;
  faults: string[];
}

export async function killCheckpoints(options: {
  kills: number;
  seed: string;
  within?: number;
}): Promise<Killing> {
  const random = seededRandom(options.seed);
  const folder = mkdtempSync(join(tmpdir(), 'whorl-kill-'));
  const result: Killing = { kills: 0, inWrite: 0, steps: 0, weights: 0, faults: [] };
  try {
    while (result.kills < options.kills) {
      const ended = await killed(folder, result.steps + 1, random.int(options.within ?? 400));
      if (ended !== 'SIGKILL') result.faults.push(`the writer ended by itself (${ended})`);
      result.kills++;
      const left = readdirSync(folder).filter((name) => name.includes('.tmp-'));
      if (left.length > 0) result.inWrite++;
      for (const name of left) rmSync(join(folder, name));
      look(folder, result);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return result;
}

/** Lets a child write from step `from` on and kills it `after` ms from its first write. */
function killed(folder: string, from: number, after: number): Promise<string | number | null> {
  return new Promise((resolve) => {
    const args = ['--import', 'tsx', CHILD, folder, String(ELEMENTS), String(from)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), after));
    child.on('close', (code, signal) => resolve(signal ?? code));
  });
}

/** Both files hold one step each, in every byte, and never an older one than was there before. */
function look(folder: string, result: Killing): void {
  const [state, weights] = [join(folder, 'state.bin'), join(folder, 'model.safetensors')];
  const before = result.steps;
  if (existsSync(state)) {
    const { state: loaded, extra } = loadCheckpoint(state);
    const { step, slots } = loaded;
    const { value, m, v } = slots.get('rows')!;
    if ((extra as { step: number }).step !== step)
      result.faults.push(`header and extra of step ${step} differ`);
    for (const data of [value, m, v])
      if (data.length !== ELEMENTS || !data.every((x) => x === step))
        result.faults.push(`step ${step} is mixed`);
    if (step < before) result.faults.push(`step ${step} after ${before}`);
    result.steps = Math.max(before, step);
  } else if (before > 0) result.faults.push('the checkpoint is gone');
  if (existsSync(weights)) {
    const { tensors, metadata } = readSafetensorsHeader(weights);
    const step = Number(metadata.get('step'));
    if (!readTensor(tensors.get('rows')!).data.every((x) => x === step))
      result.faults.push(`weights of step ${step} are mixed`);
    if (step < result.weights || step > result.steps)
      result.faults.push(`weights of step ${step} after ${result.weights}`);
    result.weights = step;
  } else if (result.weights > 0) result.faults.push('the weights are gone');
}
