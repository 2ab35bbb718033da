// Looking inside: lines of the model on every node, FLOPs of a run, the first value that is not finite.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { writeFileAtomic } from '../../src/base/atomic.ts';
import { debugLevel, debugOut } from '../../src/base/debug.ts';
import { productFlops } from '../../src/engine/flops.ts';
import { Graph, reachable } from '../../src/engine/graph.ts';
import { lineOf } from '../../src/engine/line.ts';
import { listing } from '../../src/engine/listing.ts';
import { add, exp, greaterEqual } from '../../src/engine/ops/arithmetic.ts';
import { constant, input } from '../../src/engine/ops/leaves.ts';
import { loop } from '../../src/engine/ops/loop.ts';
import { batchMatmul, gemm } from '../../src/engine/ops/matmul.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import { spentByNode } from '../../src/engine/profile.ts';
import { Program } from '../../src/engine/program.ts';
import { cpu } from '../../src/engine/session.ts';
import { graphListeners } from '../../src/engine/watch.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Example } from '../../src/models/example.ts';
import type { Model } from '../../src/models/model.ts';
import { bindModel } from '../../src/models/model.ts';
import { PUBLISHED, VANILLA } from '../../src/models/overlay.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readTensor, readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { RowsTrainer } from '../../src/train/rows.ts';
import { freshState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { greedyDecoder } from '../lm/greedy.ts';

const GOLDEN = new URL('../../goldens/models/llama-gqa-tied-bf16/', import.meta.url).pathname;
const BROKEN = 'model.layers.1.mlp.up_proj.weight';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'whorl-watch-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function open(path: string): Model {
  return bindModel({ ...openCheckpoint(path), source: path });
}

/** The golden model with one bf16 element of a weight overwritten. */
function broken(bits: number, weight = BROKEN): Model {
  const path = mkdtempSync(join(folder, 'broken-'));
  cpSync(GOLDEN, path, { recursive: true, filter: (name) => !name.includes('golden.') });
  const ref = open(path).tensors.get(weight)!;
  const bytes = readFileSync(ref.file);
  bytes.writeUInt16LE(bits, ref.offset + 6);
  writeFileAtomic(ref.file, bytes);
  return open(path);
}

const BATCH: Example[] = [
  [5, 6, 7, 8],
  [9, 10],
].map((tokens) => ({
  tokens,
  variant: VANILLA,
  labels: [{ row: tokens.length - 1, token: 11, kind: 'fire', weight: 0.5 }],
}));

async function fullStep(model: Model): Promise<void> {
  const trainer = await Trainer.compile(model, { settings: ADAMW });
  try {
    const values = new Map(
      [...model.decoder.shapes.keys()].map((name) => [name, readTensor(model.tensors.get(name)!)]),
    );
    await trainer.step(freshState(values), BATCH, 1e-3);
  } finally {
    await trainer.release();
  }
}

async function rowsStep(model: Model): Promise<void> {
  const ids = Int32Array.of(5, 9);
  const rows = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const trainer = await RowsTrainer.compile(model, {
    overlay: { ids, rows },
    vanilla: rows,
    settings: ADAMW,
    device: cpu,
  });
  try {
    const batch = BATCH.map((example) => ({ ...example, variant: PUBLISHED }));
    const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
    await trainer.step(trainer.start(), batch, 1e-3, weights, new Float32Array(rows.length));
  } finally {
    await trainer.release();
  }
}

async function score(model: Model): Promise<void> {
  const encoder = new Encoder(model, undefined, cpu);
  try {
    await encoder.labels([{ tokens: [5, 6, 7], wanted: [2], labels: [8] }]);
    await encoder.hidden([{ tokens: [5, 6, 7], wanted: [2] }]);
    await encoder.caches([[5, 6, 7], [8]]);
  } finally {
    await encoder.release();
  }
}

async function decode(model: Model): Promise<void> {
  const decoder = greedyDecoder(model, cpu);
  try {
    await decoder.decode([[5, 6, 7]], 4);
  } finally {
    await decoder.release();
  }
}

const PROGRAMS = {
  'full training': fullStep,
  'training of rows': rowsStep,
  scoring: score,
  decoding: decode,
};

describe('WHORL_CHECK', () => {
  test.each(Object.entries(PROGRAMS))('%s of a healthy model passes', async (_, call) => {
    vi.stubEnv('WHORL_CHECK', '1');
    await call(open(GOLDEN));
  });

  test.each(['training of rows', 'scoring', 'decoding'] as const)(
    '%s names the layer of a planted NaN',
    async (name) => {
      const model = broken(0x7fc0);
      vi.stubEnv('WHORL_CHECK', '1');
      await expect(PROGRAMS[name](model)).rejects.toMatchObject({
        code: 'not-finite',
        message: expect.stringMatching(
          /^first non-finite: (cast|gemm|cast_gemm) in layers\.1\.mlp\.up_proj /,
        ) as string,
      });
    },
  );

  test('an infinity in a norm of the first layer', async () => {
    const model = broken(0x7f80, 'model.layers.0.input_layernorm.weight');
    vi.stubEnv('WHORL_CHECK', '1');
    await expect(score(model)).rejects.toThrow(/in layers\.0\.input_layernorm/);
  });

  test('full training is told which fed weight it is', async () => {
    const model = broken(0x7fc0);
    vi.stubEnv('WHORL_CHECK', '1');
    await expect(fullStep(model)).rejects.toThrow(`the input ${BROKEN} has NaN at 3`);
  });

  test('in the rounds of a loop', async () => {
    vi.stubEnv('WHORL_CHECK', '1');
    const graph = new Graph('countdown');
    const start = input(graph, 'start', 'float32', [1]);
    const yes = greaterEqual(constant(graph, 'float32', [], [1]), 0);
    const [last] = loop(constant(graph, 'int32', [], [4]), yes, [start], [start.type], ([x]) =>
      graph.within('inner', () => ({ more: yes, carried: [exp(add(x!, -1))], collected: [] })),
    );
    graph.output('last', last!);
    const program = await Program.compile(graph);
    const run = (x: number) => program.run({ start: { data: Float32Array.of(x), shape: [1] } });
    const calm = [1, 2, 3, 4].reduce((x) => Math.exp(x - 1), 0);
    expect((await run(0)).last!.data[0]).toBeCloseTo(calm);
    // 3 → e² → 598 → ∞ → ∞: exp begins it, but in the last round the addition before it is infinite too.
    await expect(run(3)).rejects.toThrow('first non-finite: exp in inner');
    await program.release();
  });

  test('unset, nothing is added to a program and the value comes through', async () => {
    await score(broken(0x7fc0));
  });
});

describe('WHORL_DEBUG', () => {
  test('levels', () => {
    for (const [text, level] of [
      ['', 0],
      ['0', 0],
      ['1', 1],
      ['3', 3],
      ['9', 4],
      ['yes', 1],
    ] as const) {
      vi.stubEnv('WHORL_DEBUG', text);
      expect(debugLevel()).toBe(level);
    }
  });

  test('4 writes graph, listing and a profile that knows the model’s lines', async () => {
    vi.stubEnv('WHORL_DEBUG', '4');
    vi.stubEnv('WHORL_DEBUG_DIR', join(folder, 'debug'));
    const lines: string[] = [];
    vi.spyOn(debugOut, 'line').mockImplementation((line) => void lines.push(line));
    await fullStep(open(GOLDEN));
    const text = lines.join('\n');
    expect(text).toMatch(/program llama_train: \d+ ops as \d+ nodes, 0 weights/);
    expect(text).toMatch(/run 1 of llama_train: .*T=6 .*GFLOP\/s/);
    expect(text).toMatch(/% of it in matrix products/);
    for (const line of ['layers.*.self_attn.q_proj', 'layers.*.self_attn.q_proj (backward)', 'optimiser'])
      expect(text).toContain(`× ${line}`);
    const files = readdirSync(join(folder, 'debug'));
    for (const end of ['llama_train.onnx', 'llama_train.txt', 'llama_train.profile.txt'])
      expect(files.some((name) => name.endsWith(end))).toBe(true);
    const list = readFileSync(
      join(folder, 'debug', files.find((name) => name.endsWith('train.txt'))!),
      'utf8',
    );
    expect(list).toMatch(/^gemm_\d+ = gemm\(.*# layers\.1\.mlp\.down_proj \(backward\)$/m);
  });

  test('a loop’s own time leaves out its rounds', () => {
    const event = (name: string, ts: number, dur: number) => ({
      cat: 'Node',
      name: `${name}_kernel_time`,
      ts,
      dur,
    });
    const events = [event('a', 10, 20), event('loop', 0, 100), event('b', 40, 50), event('c', 120, 5)];
    const spent = spentByNode(JSON.stringify(events), new Map());
    expect(spent.map(({ self }) => self)).toEqual([30, 20, 50, 5]);
  });
});

test('FLOPs of products, with the sizes of a run', () => {
  const graph = new Graph('flops');
  const a = input(graph, 'a', 'float32', ['T', 4]);
  const b = input(graph, 'b', 'float32', [5, 4]);
  const c = input(graph, 'c', 'float32', ['B', '3*T', 7]);
  graph.output('x', sumAll(gemm(a, b, false, true)));
  graph.output('y', sumAll(batchMatmul(c, c, { transA: true })));
  const sizes = new Map([
    ['T', 10],
    ['B', 2],
  ]);
  // [10, 4]·[4, 5], and twice [7, 30]·[30, 7]
  expect(productFlops(graph, sizes)).toEqual({ flops: 2 * 10 * 4 * 5 + 2 * 2 * 7 * 30 * 7, exact: true });
  expect(productFlops(graph, new Map([['T', 10]]))).toEqual({ flops: 400, exact: false });
});

test('every op of a model’s forward pass stands in a line', async () => {
  const graphs: Graph[] = [];
  const listen = (graph: Graph) => void graphs.push(graph);
  graphListeners.add(listen);
  try {
    await fullStep(open(GOLDEN));
  } finally {
    graphListeners.delete(listen);
  }
  const [graph] = graphs;
  const nodes = reachable(graph!.outputs.map(({ value }) => value));
  const products = nodes.filter(({ op }) => op.name === 'gemm').map(lineOf);
  for (const line of products) expect(line).not.toBe('–');
  const kinds = new Set(products);
  for (const layer of [0, 1])
    for (const part of ['self_attn.q_proj', 'self_attn.o_proj', 'mlp.gate_proj', 'mlp.down_proj'])
      for (const way of ['', ' (backward)']) expect(kinds).toContain(`layers.${layer}.${part}${way}`);
  expect(kinds).toContain('lm_head');
  // A change inside one layer leaves the other layers' text alone: names count within a line.
  const text = listing(graph!, { names: 'stable' });
  expect(text).toContain('layers.1.mlp.up_proj/gemm.1 = gemm(layers.1.post_attention_layernorm/rms_norm.1, ');
});
