// Stands for `python -m torch.distributed.run … train.py` where there is no torch: trains what the job's folder says, and
// nothing else, by our own engine, and leaves what train.py leaves.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../../src/base/sha256.ts';
import { cpu } from '../../src/engine/session.ts';
import type { Example } from '../../src/models/example.ts';
import { openModel } from '../../src/models/open-model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint.ts';
import { splitByTokens } from '../../src/train/micro-batches.ts';
import { ADAMW, type AdamW } from '../../src/train/optimiser.ts';
import { freshState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import type { Trains } from '../../src/train/trains.ts';
import { type LaidOver, laidOver, overlayTrainer, type Steps } from './torch-overlay.ts';

interface Job {
  readonly ranks: number;
  readonly trains:
    | { readonly kind: 'tensors' | 'lookups'; readonly tensors: Readonly<Record<string, string>> }
    | {
        readonly kind: 'low-rank';
        readonly scale: number;
        readonly layers: readonly { readonly module: string }[];
      }
    | LaidOver;
  readonly optimiser: AdamW & { readonly clip: number | null };
  readonly rates: readonly number[];
  readonly keep: readonly number[];
  readonly keep_below: { readonly loss: number; readonly always: readonly number[] } | null;
  readonly batch_tokens: number;
}

const home = process.cwd();
const result = join(home, 'result');
const job = JSON.parse(readFileSync(join(home, 'job.json'), 'utf8')) as Job;

function arrays(name: string): Record<string, Int32Array | Float32Array> {
  const path = join(home, name);
  const bytes = readFileSync(path);
  return Object.fromEntries(
    [...readSafetensorsHeader(path).tensors].map(([key, { dtype, offset, length }]) => {
      const own = Uint8Array.from(bytes.subarray(offset, offset + length)).buffer;
      return [key, dtype === 'int32' ? new Int32Array(own) : new Float32Array(own)];
    }),
  );
}

const parts = arrays('batches.safetensors');
const between = (of: string, at: string, i: number): number[] =>
  Array.from(parts[of]!.subarray(parts[at]![i]!, parts[at]![i + 1]!));

function batch(step: number): Example[] {
  const [first, end] = [parts.steps![step]!, parts.steps![step + 1]!];
  return Array.from({ length: end - first }, (_, i) => {
    const of = (name: string) => between(name, 'labels', first + i);
    const [weights, wanted] = [of('label_weights'), of('label_tokens_wanted')];
    const labels = of('label_rows').map((row, l) => ({
      ...{ row, token: wanted[l]!, weight: weights[l]!, kind: 'fire' as const },
    }));
    const example = { tokens: between('tokens', 'examples', first + i), variant: VANILLA, labels };
    return parts.befores ? laidOver(example, parts, first + i, of) : example;
  });
}

function trainsOf(trains: Exclude<Job['trains'], LaidOver>, rank: number): Trains {
  if (trains.kind !== 'low-rank')
    return trains.kind === 'lookups'
      ? { kind: 'lookups' }
      : { kind: 'tensors', names: Object.keys(trains.tensors) };
  const names = trains.layers.map(({ module }) => `${module}.weight`);
  return { kind: 'low-rank', names, rank, alpha: trains.scale * rank };
}

mkdirSync(result, { recursive: true });
const start =
  job.trains.kind === 'low-rank' ? readSafetensorsHeader(join(home, 'start.safetensors')).tensors : undefined;
const model = await openModel(process.env.MODEL!);
const settings = { ...ADAMW, ...job.optimiser, clip: job.optimiser.clip ?? Number.POSITIVE_INFINITY };
const trainer: Steps =
  job.trains.kind === 'overlay'
    ? await overlayTrainer(model, job.trains, settings, arrays('overlay.safetensors'))
    : await Trainer.compile(model, {
        trains: trainsOf(job.trains, start ? [...start.values()][0]!.shape[0]! : 0),
        ...{ settings, device: cpu },
        split: (whole) => splitByTokens(whole, job.batch_tokens),
      });
const begun = start
  ? freshState(
      new Map(
        Object.entries(arrays('start.safetensors')).map(([name, data]) => [
          name,
          { shape: start.get(name)!.shape, data: data as Float32Array },
        ]),
      ),
    )
  : trainer.start();

const kept: { step: number; file: string; sha256: string }[] = [];
const stored = join(home, 'state', 'checkpoint');
let { state, extra } = existsSync(stored) ? loadCheckpoint(stored) : { state: begun, extra: [] };
const losses = extra as number[];
const lines: object[] = losses.map((loss, i) => ({ kind: 'step', step: i + 1, loss }));
const say = (line: object): void => {
  lines.push(line);
  writeFileSync(join(result, 'progress.jsonl'), lines.map((each) => `${JSON.stringify(each)}\n`).join(''));
};
const report = (done: boolean): void =>
  writeFileSync(
    join(result, 'result.json'),
    JSON.stringify({
      format: 'whorl-job-result',
      version: 1,
      job: sha256Hex(readFileSync(join(home, 'manifest.json'))),
      ...{ done, steps: state.step, losses, seconds: 1, kept },
      ...{
        torch: process.env.STAND_IN_TORCH ?? '2.11.0+cpu',
        transformers: '5.24.0',
        ranks: job.ranks,
        device: 'cpu',
      },
    }),
  );

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

say({ kind: 'started', step: state.step, steps: job.rates.length });
while (state.step < job.rates.length) {
  const taken = await trainer.step(state, batch(state.step), job.rates[state.step]!);
  state = taken.state;
  losses.push(taken.loss);
  say({ kind: 'step', step: state.step, loss: taken.loss });
  saveCheckpoint(stored, state, losses);
  if (process.env.WHORL_TEST_DIE === String(state.step)) {
    process.stderr.write(
      'Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -9 (pid: 7)\n',
    );
    process.exit(1);
  }
  if (!job.keep.includes(state.step)) continue;
  const below = job.keep_below;
  if (below && !below.always.includes(state.step) && (taken.wanted ?? 0) > below.loss) continue;
  const file = `step-${String(state.step).padStart(8, '0')}.safetensors`;
  const entries = [...state.slots].map(([name, { shape, value }]) => ({
    name,
    dtype: 'float32' as const,
    shape,
    value,
  }));
  await writeSafetensors(join(result, file), entries, ({ value }) => [
    new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  ]);
  kept.push({ step: state.step, file, sha256: sha256Hex(readFileSync(join(result, file))) });
  report(false);
  say({ kind: 'kept', step: state.step, file });
  if (process.env.WHORL_FOLLOWED === undefined || state.step === job.rates.length) continue;
  while (!existsSync(join(home, 'stop')) && !existsSync(join(home, `go-${state.step}`))) await wait(20);
  if (existsSync(join(home, 'stop'))) break;
}
report(true);
say({ kind: 'done', step: state.step });
await trainer.release();
