// A model larger than what memory is free: random bf16 weights in Mistral 7B's shapes are written, scored, and stepped through
// by `rows`, `adapter` and LoRA. Run: npx tsx bench/memory.ts --dir DIR | --gguf FILE [--gb N] [--rows 4] [--tokens 32] [--steps 2]

import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { writeJsonAtomic } from '../src/base/atomic.ts';
import { seededRandom } from '../src/base/random-source.ts';
import { cpu } from '../src/engine/session.ts';
import { Encoder } from '../src/models/encode.ts';
import type { Example } from '../src/models/example.ts';
import { familyOf } from '../src/models/families/index.ts';
import { openModel } from '../src/models/open-model.ts';
import { type Overlay, PUBLISHED, PUBLISHED_WITH_ADAPTER, type Variant } from '../src/models/overlay.ts';
import { SINGLE } from '../src/sources/checkpoints/checkpoint.ts';
import { readTensorRows } from '../src/sources/checkpoints/read.ts';
import { writeSafetensors } from '../src/sources/checkpoints/write-safetensors.ts';
import { elements } from '../src/tensor/tensor.ts';
import { ADAMW } from '../src/train/optimiser.ts';
import { RowsTrainer } from '../src/train/rows.ts';
import { Trainer } from '../src/train/trainer.ts';
import { lowRankEverywhere } from '../src/train/trains.ts';
import { flag } from './machines.ts';

const USAGE = 'npx tsx bench/memory.ts --dir DIR | --gguf FILE [--gb N] [--rows 4] [--tokens 32] [--steps 2]';
const [dir, gguf] = [flag('dir')[0], flag('gguf')[0]];
if (!dir && !gguf) throw new Error(USAGE);
const number = (name: string, fallback: number) => Number(flag(name)[0] ?? fallback);
const [rows, tokens, steps] = [number('rows', 4), number('tokens', 32), number('steps', 2)];
const say = (text: string) => process.stderr.write(`${text}\n`);

// Mistral 7B's widths; only the number of layers follows the size asked for.
const WIDTHS = {
  architectures: ['MistralForCausalLM'],
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: 'mistral',
  num_attention_heads: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  sliding_window: 4096,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
  vocab_size: 32000,
};
const CHUNK = 1 << 22;

/** kB of a line of /proc. */
const proc = (file: string, key: string): number =>
  Number(new RegExp(`^${key}:?\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? Number.NaN);
const available = (): number => proc('/proc/meminfo', 'MemAvailable') * 1024;
const gb = (bytes: number): number => Math.round(bytes / 1e7) / 100;

async function write(folder: string, bytes: number): Promise<void> {
  const sized = (num_hidden_layers: number) => {
    const json = { ...WIDTHS, num_hidden_layers };
    const shapes = [...familyOf(json, folder).shapes];
    return { json, shapes, bytes: shapes.reduce((sum, [, shape]) => sum + 2 * elements(shape), 0) };
  };
  const layer = sized(2).bytes - sized(1).bytes;
  const { json, shapes } = sized(Math.max(1, Math.round((bytes - sized(1).bytes) / layer) + 1));
  mkdirSync(folder, { recursive: true });
  const buffer = new Uint8Array(CHUNK);
  await writeSafetensors(
    join(folder, SINGLE),
    shapes.map(([name, shape]) => ({ name, dtype: 'bfloat16' as const, shape })),
    function* ({ name, shape }) {
      const length = 2 * elements(shape);
      for (let at = 0; at < length; at += CHUNK) {
        const part = buffer.subarray(0, Math.min(CHUNK, length - at));
        if (name.endsWith('norm.weight'))
          for (let i = 0; i < part.length; i += 2) [part[i], part[i + 1]] = [0x80, 0x3f]; // 1
        else {
          randomFillSync(part);
          for (let i = 1; i < part.length; i += 2) part[i] = (part[i]! & 0x80) | 0x3c; // ± 2^-7 to 2^-5
        }
        yield part;
      }
    },
  );
  writeJsonAtomic(join(folder, 'config.json'), json); // last: a folder with it is whole
}

/** Highest RssAnon (memory that is not the mapped file's), sampled beside the engine, which blocks this thread. */
function watch(): { stop: () => Promise<number> } {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const { readFileSync } = require('node:fs');
     let most = 0;
     const timer = setInterval(() => {
       most = Math.max(most, Number(/RssAnon:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));
     }, 20);
     parentPort.on('message', () => { clearInterval(timer); parentPort.postMessage(most); parentPort.close(); });`,
    { eval: true },
  );
  return {
    stop: () =>
      new Promise((resolve) => {
        worker.once('message', (kilobytes: number) => resolve(kilobytes * 1024));
        worker.postMessage('stop');
      }),
  };
}

const free = available();
if (dir && !existsSync(join(dir, 'config.json'))) {
  const bytes = number('gb', (1.5 * free) / 1e9) * 1e9;
  say(`writing ${gb(bytes)} GB to ${dir}; ${gb(free)} GB are available`);
  await write(dir, bytes);
}
const model = await openModel((gguf ?? dir)!, {
  onEvent: ({ kind, ...more }) => kind === 'phase' && say(JSON.stringify(more)),
});
const { vocab_size: V, hidden_size: E, num_hidden_layers } = model.decoder.config;
const weights = [...model.tensors.values()].reduce((sum, { length }) => sum + length, 0);
const random = seededRandom('memory');
const sequence = (n: number) => Array.from({ length: n }, () => random.int(V));
const sequences = Array.from({ length: rows }, (_, i) => sequence(tokens - (i % 4)));

const swap = () => ({ in: proc('/proc/vmstat', 'pswpin'), out: proc('/proc/vmstat', 'pswpout') });
const swapBefore = swap();
async function phase<T>(name: string, work: () => Promise<T>): Promise<{ result: T; report: object }> {
  const before = process.resourceUsage().majorPageFault;
  const started = performance.now();
  const watcher = watch();
  const result = await work();
  const anonymous = await watcher.stop();
  const report = {
    seconds: Math.round((performance.now() - started) / 100) / 10,
    major_faults: process.resourceUsage().majorPageFault - before,
    peak_anonymous_gb: gb(anonymous),
  };
  say(`${name}: ${JSON.stringify(report)}`);
  return { result, report };
}

const scored = await phase('score', async () => {
  const encoder = new Encoder(model, undefined, cpu);
  const results = await encoder.labels(
    sequences.map((ids) => ({
      tokens: ids.slice(0, -1),
      wanted: [ids.length - 3, ids.length - 2],
      labels: ids.slice(-2),
    })),
  );
  await encoder.release();
  return results.flatMap(({ logprobs }) => [...logprobs]);
});

const places = sequences.flatMap((ids) => ids.slice(0, -1)).length;
const ids = Int32Array.from(new Set(sequences.map(([first]) => first!)));
const vanilla = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
const RANK = 64;
const normal = (length: number, scale: number): Float32Array =>
  Float32Array.from({ length }, () => (scale * (random.int(2 ** 16) - 2 ** 15)) / 2 ** 15);
const batchOf = (variant: Variant): Example[] =>
  sequences.map((all) => ({
    tokens: all.slice(0, -1),
    variant,
    labels: [{ row: all.length - 2, token: all.at(-1)!, kind: 'fire', weight: 1 / rows }],
  }));

/** Compiles, then takes `steps` steps: the first one reads the weights in, the last one is what a step costs. */
async function stepping(
  name: string,
  open: () => Promise<{ step: () => Promise<number>; release: () => Promise<void> }>,
) {
  const { result, report } = await phase(name, async () => {
    const { step, release } = await open();
    const losses: number[] = [];
    let last = 0;
    for (let i = 0; i < steps; i++) {
      const started = performance.now();
      losses.push(await step());
      last = (performance.now() - started) / 1e3;
    }
    await release();
    return { losses, last };
  });
  if (!result.losses.every(Number.isFinite)) throw new Error(`${name}: not all finite: ${result.losses}`);
  const [last_step_s, tokens_per_s] = [result.last, places / result.last].map((x) => Math.round(x * 10) / 10);
  return { ...report, last_step_s, tokens_per_s, losses: result.losses };
}

const overlaid = (overlay: Overlay, variant: Variant) => async () => {
  const trainer = await RowsTrainer.compile(model, { overlay, vanilla, settings: ADAMW, device: cpu });
  const still = new Float32Array(ids.length * E);
  let state = trainer.start();
  return {
    async step() {
      const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
      const result = await trainer.step(state, batchOf(variant), 1e-3, weights, still);
      state = result.state;
      return result.loss;
    },
    release: () => trainer.release(),
  };
};
const map = { rank: RANK, scale: 4, A: normal(RANK * E, 1 / E), B: normal(E * RANK, 1 / RANK) };
const stepped = {
  rows: await stepping('rows', overlaid({ ids, rows: vanilla }, PUBLISHED)),
  adapter: await stepping('adapter', overlaid({ ids, rows: vanilla, adapter: map }, PUBLISHED_WITH_ADAPTER)),
  lora: await stepping('lora', async () => {
    const trains = lowRankEverywhere(8, 16);
    const trainer = await Trainer.compile(model, { settings: ADAMW, trains, device: cpu });
    let state = trainer.start();
    return {
      async step() {
        const result = await trainer.step(state, batchOf(PUBLISHED), 1e-5);
        state = result.state;
        return result.loss;
      },
      release: () => trainer.release(),
    };
  }),
};

if (!scored.result.every(Number.isFinite)) throw new Error(`not all finite: ${scored.result}`);
const swapAfter = swap();
const report = {
  weights_gb: gb(weights),
  layers: num_hidden_layers,
  available_gb: gb(free),
  score: scored.report,
  tokens_a_step: places,
  ...stepped,
  peak_rss_gb: gb(proc('/proc/self/status', 'VmHWM') * 1024), // with the file's pages that are in memory
  own_swap_gb: gb(proc('/proc/self/status', 'VmSwap') * 1024),
  machine_pages_swapped: { in: swapAfter.in - swapBefore.in, out: swapAfter.out - swapBefore.out },
};
process.stdout.write(`${JSON.stringify(report)}\n`);
