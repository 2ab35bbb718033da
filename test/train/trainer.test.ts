// What trains, exact accumulation, recomputation, what may be split how, and a fine-tune that is killed and goes on.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { gradients } from '../../src/engine/autodiff.ts';
import { Graph, reachable } from '../../src/engine/graph.ts';
import { mul, neg } from '../../src/engine/ops/arithmetic.ts';
import { input, nameOfWeight } from '../../src/engine/ops/leaves.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import { Program } from '../../src/engine/program.ts';
import type { Recompute } from '../../src/engine/recompute.ts';
import { graphListeners } from '../../src/engine/watch.ts';
import type { Model } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { FINETUNE, finetune } from '../../src/train/finetune.ts';
import { labelLogprobs } from '../../src/train/forward.ts';
import { partSize, splitByCount, splitByTokens } from '../../src/train/micro-batches.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { parameter } from '../../src/train/step.ts';
import { Trainer, type TrainerOptions } from '../../src/train/trainer.ts';
import { EMBEDDING, lowRankEverywhere, type Trains } from '../../src/train/trains.ts';
import { promptAndAnswer } from '../../src/train/tuning-examples.ts';
import { HALF_MODELS, openGolden } from '../models/golden-models.ts';
import { goldens, load, randomBatch } from './tiny.ts';

const batch = randomBatch(6, 1);

/** The whole embedding, a tied head's part in its gradient as well. */
const TABLE: Trains = { kind: 'tensors', names: ['*.embed_tokens.weight'] };

async function gradientsOf(of: string | Model, options: Partial<TrainerOptions>) {
  const trainer = await Trainer.compile(typeof of === 'string' ? load(of) : of, {
    settings: ADAMW,
    ...options,
  });
  const out = await trainer.gradients(trainer.start(7n), batch);
  await trainer.release();
  return out;
}

/** The largest difference, as a share of the largest of `expected`. */
function apart(got: Float32Array, expected: Float32Array): number {
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  return got.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0) / scale;
}

test.each(HALF_MODELS)(
  'no matrix of %s is kept in float32 from the forward to the backward pass',
  async (name) => {
    const model = openGolden(name);
    for (const trains of [lowRankEverywhere(2, 4), EMBEDDING, { kind: 'rows', ids: [1, 2] } as const]) {
      const graphs: Graph[] = [];
      const listen = (graph: Graph) => void graphs.push(graph);
      graphListeners.add(listen);
      const trainer = await Trainer.compile(model, { settings: ADAMW, trains });
      graphListeners.delete(listen);
      await trainer.release();
      const nodes = reachable(graphs[0]!.outputs.map(({ value }) => value));
      const matrices = nodes.filter(({ op, outputs }) => op.name === 'weight' && outputs[0]!.rank > 1);
      expect(matrices.length).toBeGreaterThan(0);
      const whole = new Set(matrices.map(({ outputs }) => outputs[0]!));
      const casts = nodes.filter(
        ({ op, inputs }) =>
          ['cast', 'low_rank_sum'].includes(op.name) && inputs.some((value) => whole.has(value)),
      );
      expect(casts.map(({ inputs }) => `${trains.kind}: ${nameOfWeight(inputs[0]!.node)}`)).toEqual([]);
    }
  },
);

const SPLITS: Record<string, TrainerOptions['split']> = {
  'three pairs': (all) => splitByCount(all, 2),
  'at most 14 tokens': (all) => splitByTokens(all, 14),
};
test.each(Object.keys(SPLITS))('accumulation is exact: %s', async (key) => {
  const whole = await gradientsOf('llama-gqa', {});
  const parts = await gradientsOf('llama-gqa', { split: SPLITS[key]! });
  expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
  for (const [name, gradient] of whole.gradients)
    expect(apart(parts.gradients.get(name)!, gradient), name).toBeLessThan(1e-5);
});

describe('splitting', () => {
  test('by tokens: in order, none over the budget, nothing lost', () => {
    const parts = splitByTokens(batch, 14);
    expect(parts.flat()).toEqual(batch);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts)
      expect(part.reduce((sum, { tokens }) => sum + tokens.length, 0)).toBeLessThanOrEqual(14);
  });
  test('an example over the budget is named with what would do', () => {
    expect(() => splitByTokens(batch, 5)).toThrow(/8 tokens does not fit .*raise batch_tokens to 8/s);
  });
  test('a batch that does not divide names what does', () => {
    expect(partSize(12, 4)).toBe(3);
    expect(() => partSize(12, 5)).toThrow(WhorlError);
    expect(() => partSize(12, 5)).toThrow(/N one of 1, 2, 3, 4, 6, 12/);
  });
});

const MODES: readonly Recompute[] = ['elementwise', 'blocks'];
const WHAT: Record<string, Trains> = {
  everything: { kind: 'tensors', names: ['*'] },
  rows: { kind: 'rows', ids: [8, 60, 3] },
  'low-rank': lowRankEverywhere(2, 4),
};
describe.each(Object.keys(WHAT))('recomputation changes no gradient: %s', (what) => {
  test.each(MODES)('%s', async (recompute) => {
    const trains = WHAT[what]!;
    const kept = await gradientsOf('llama-gqa-tied-bf16', { trains });
    const again = await gradientsOf('llama-gqa-tied-bf16', { trains, recompute });
    for (const [name, gradient] of kept.gradients)
      expect(apart(again.gradients.get(name)!, gradient), name).toBeLessThan(1e-6);
  });
});

test('recomputation adds forward nodes to the graph', async () => {
  const model = load('llama-gqa');
  const sizes: number[] = [];
  for (const recompute of ['nothing', 'elementwise', 'blocks'] as const) {
    const graph = new Graph(recompute);
    const parameters = new Map([...model.decoder.shapes].map(([n, s]) => [n, parameter(graph, n, s)]));
    const logprobs = labelLogprobs(graph, model, (n) => parameters.get(n)!, undefined);
    const loss = neg(sumAll(mul(logprobs, input(graph, 'fire', 'float32', ['L']))));
    gradients(loss, [...parameters.values()], recompute).forEach((g, i) => graph.output(`g${i}`, g));
    const program = await Program.compile(graph);
    sizes.push(program.nodeCount);
    await program.release();
  }
  expect(sizes[1]).toBeGreaterThan(sizes[0]! + 10);
  expect(sizes[2]).toBeGreaterThan(sizes[0]! + 10);
});

describe('what trains', () => {
  test('a pattern: gradients of the named tensors alone, equal to those among all', async () => {
    const all = await gradientsOf('llama-untied', {});
    const some = await gradientsOf('llama-untied', {
      trains: { kind: 'tensors', names: ['*.q_proj.weight', 'lm_head.weight'] },
    });
    expect([...some.gradients.keys()].length).toBeGreaterThan(2);
    for (const [name, gradient] of some.gradients) {
      expect(name).toMatch(/q_proj|lm_head/);
      expect(apart(gradient, all.gradients.get(name)!), name).toBeLessThan(1e-5);
    }
  });

  test.each(['llama-tied', 'llama-untied'])('rows: those of the whole embedding (%s)', async (name) => {
    const ids = [8, 60, 3, 95];
    const whole = (await gradientsOf(name, { trains: TABLE })).gradients.get('model.embed_tokens.weight')!;
    const rows = (await gradientsOf(name, { trains: { kind: 'rows', ids } })).gradients.get('rows')!;
    const E = load(name).decoder.config.hidden_size;
    const expected = Float32Array.from(ids.flatMap((id) => [...whole.subarray(id * E, (id + 1) * E)]));
    expect(apart(rows, expected)).toBeLessThan(1e-5);
  });

  test('lookups: the gradient of an untied embedding, of a tied one as if the head were another matrix', async () => {
    const gradient = async (of: string | Model, trains: Trains) =>
      (await gradientsOf(of, { trains })).gradients.get('model.embed_tokens.weight')!;
    const untied = await gradient('llama-untied', TABLE);
    expect(apart(await gradient('llama-untied', EMBEDDING), untied)).toBe(0);
    const model = load('llama-tied');
    const { config, shapes, embedding } = model.decoder;
    const head = 'lm_head.weight';
    const apartFromHead = {
      ...model,
      tensors: new Map([...model.tensors, [head, model.tensors.get(embedding)!]]),
      decoder: {
        ...model.decoder,
        head,
        config: { ...config, tie_word_embeddings: false },
        shapes: new Map([...shapes, [head, shapes.get(embedding)!]]),
      },
    };
    const lookups = await gradient(model, EMBEDDING);
    expect(apart(lookups, await gradient(apartFromHead, TABLE))).toBeLessThan(1e-6);
    expect(apart(lookups, await gradient(model, TABLE))).toBeGreaterThan(0.1);
  });

  test('low-rank maps start as the checkpoint itself, and merge to what trained', async () => {
    const model = load('llama-gqa');
    const trainer = await Trainer.compile(model, {
      settings: { ...ADAMW, clip: Number.POSITIVE_INFINITY },
      trains: lowRankEverywhere(2, 6),
    });
    let state = trainer.start(1n);
    const vanilla = (await gradientsOf('llama-gqa', {})).loss;
    expect((await trainer.gradients(state, batch)).loss).toBeCloseTo(vanilla, 5);
    for (let i = 0; i < 3; i++) state = (await trainer.step(state, batch, 1e-2)).state;
    const { loss } = await trainer.gradients(state, batch);
    expect(loss).toBeLessThan(vanilla - 0.05);
    // The merged tensors in a model that trains everything give the same loss.
    const full = await Trainer.compile(model, { settings: ADAMW });
    const merged = full.start();
    for (const name of trainer.trained.changed)
      merged.slots.get(name)!.value.set(trainer.trained.tensor(name, state));
    expect((await full.gradients(merged, batch)).loss).toBeCloseTo(loss, 5);
    await trainer.release();
    await full.release();
  });

  test('a rounded precision acts as the checkpoint will', async () => {
    const exact = await gradientsOf('llama-gqa', {});
    const rounded = await gradientsOf('llama-gqa', { precision: 'bfloat16' });
    expect(rounded.loss).not.toBe(exact.loss);
    expect(Math.abs(rounded.loss / exact.loss - 1)).toBeLessThan(0.02);
    // Of a checkpoint that is bfloat16 already, nothing is rounded.
    const plain = await gradientsOf('llama-gqa-tied-bf16', {});
    const same = await gradientsOf('llama-gqa-tied-bf16', { precision: 'bfloat16' });
    expect(same.loss).toBe(plain.loss);
  });

  test.each([
    [
      { kind: 'tensors', names: ['*.qq_proj.weight'] },
      /no tensor of this model is named \*\.qq_proj\.weight/,
    ],
    [{ kind: 'low-rank', names: ['model.norm.weight'], rank: 2, alpha: 2 }, /no linear layer .* model\.norm/],
    [{ kind: 'low-rank', names: ['*_proj.weight'], rank: 999, alpha: 2 }, /rank 999/],
    [{ kind: 'rows', ids: [96] }, /no row 96 to train: the vocabulary has 96/],
    [{ kind: 'rows', ids: [3, 3] }, /one twice/],
  ] as [Trains, RegExp][])('refused: %j', async (trains, message) => {
    await expect(Trainer.compile(load('llama-gqa'), { settings: ADAMW, trains })).rejects.toThrow(message);
  });
});

test('a step whose loss is not finite changes nothing and says so', async () => {
  const trainer = await Trainer.compile(load('llama-gqa'), { settings: ADAMW });
  const state = trainer.start();
  const norm = state.slots.get('model.norm.weight')!;
  norm.value.fill(Number.NaN);
  const head = Float32Array.from(state.slots.get('lm_head.weight')!.value);
  await expect(trainer.step(state, batch, 1e-3)).rejects.toThrow(
    /step 1: the loss is NaN.*lower the learning/s,
  );
  expect(state.slots.get('lm_head.weight')!.value).toEqual(head);
  await trainer.release();
});

describe('fine-tuning', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-finetune-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  const examples = Array.from({ length: 10 }, (_, i) => promptAndAnswer([1, 5 + i, 9], [40 + i, 41 + i, 2]));
  const settings = { ...FINETUNE, epochs: 2, batch: 4, accumulate: 2, lr: 1e-2, weight_decay: 0.1 };
  const path = join(goldens, 'models', 'llama-gqa-tied-bf16');
  const weights = (folder: string) =>
    [...openCheckpoint(folder).tensors].map(([name, ref]) => [name, readTensor(ref).data] as const);

  test('killed and gone on with, it ends in the same weights', async () => {
    const model = await openModel(path);
    const checkpoint = { path: join(scratch, 'training.state'), seconds: 0 };
    const straight = await finetune(model, examples, join(scratch, 'straight'), settings, () => {});
    expect(straight.length).toBe(6);
    const killed = finetune(
      model,
      examples,
      join(scratch, 'resumed'),
      settings,
      (event) => {
        if (event.kind === 'progress' && event.done === 4) throw new Error('killed');
      },
      { checkpoint },
    );
    await expect(killed).rejects.toThrow('killed');
    expect(existsSync(join(scratch, 'resumed'))).toBe(false);
    const other = { ...settings, lr: 1 };
    await expect(
      finetune(model, examples, join(scratch, 'other'), other, () => {}, { checkpoint }),
    ).rejects.toThrow(/training\.state is of a run with other examples or settings/);
    const notes: string[] = [];
    const resumed = await finetune(
      model,
      examples,
      join(scratch, 'resumed'),
      settings,
      (event) => event.kind === 'note' && notes.push(event.text),
      { checkpoint },
    );
    expect(notes).toEqual(['resuming at step 4']); // the step that was told is kept, whoever ended the call
    expect(resumed).toEqual(straight);
    expect(weights(join(scratch, 'resumed'))).toEqual(weights(join(scratch, 'straight')));
    expect(existsSync(checkpoint.path)).toBe(false);
  });

  test.each(['llama-gqa-tied-bf16', 'llama-sharded'])(
    'what did not train is written byte for byte, into files as they were: %s',
    async (name) => {
      const from = join(goldens, 'models', name);
      const out = join(scratch, name);
      await finetune(await openModel(from), examples, out, settings, () => {}, {
        trains: { kind: 'low-rank', names: ['*.v_proj.weight'], rank: 2, alpha: 4 },
        recompute: 'blocks',
      });
      const files = (folder: string) => readdirSync(folder).filter((file) => file.startsWith('model'));
      expect(files(out)).toEqual(files(from));
      const before = new Map(weights(from));
      for (const [tensor, data] of weights(out))
        if (tensor.includes('v_proj')) expect(data, tensor).not.toEqual(before.get(tensor));
        else expect(data, tensor).toEqual(before.get(tensor));
    },
  );
});
