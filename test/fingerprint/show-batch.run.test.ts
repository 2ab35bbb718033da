// show-batch prints what a run trains: a run's folder gives the batch that its seed gives, and its kinds are named.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { begin } from '../../src/fingerprint/begin.ts';
import { commit } from '../../src/fingerprint/commit.ts';
import { showBatch } from '../../src/fingerprint/show-batch.ts';
import { PUBLISHED } from '../../src/models/overlay.ts';
import { RunFolder } from '../../src/runs/run-folder.ts';

const model = new URL('../../assets/embedded/model', import.meta.url).pathname;
const settings = { trained: '3', variety: '85', primary_positions: '4', reference_positions: '4' };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'whorl-show-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('rows', () => {
  test('a run that is under way shows the batch of its own seed and settings', async () => {
    const out = join(folder, 'run');
    const { secret } = await commit(await begin({ model, out, seed: 'a', settings }));
    const own = await showBatch({ run: out, step: 9 });
    const thrown = await showBatch({ model, seed: 'a', settings, step: 9 });
    expect([own.source, thrown.source]).toEqual(['run', 'throw-away']);
    expect(own.examples).toEqual(thrown.examples);
    expect((await showBatch({ run: out, step: 10 })).examples).not.toEqual(own.examples);

    const { plan, bindings } = secret.reveal();
    expect(own.examples).toHaveLength(plan.keys.length);
    const trained = new Set(bindings.trainable_rows);
    for (const [i, example] of own.examples.entries()) {
      expect(example.variant).toEqual(PUBLISHED);
      const ids = example.tokens.map(({ id }) => id);
      expect(ids.join()).toContain(plan.keys[i]!.tokens.slice(1).join());
      for (const token of example.tokens) expect(token.trained).toBe(trained.has(token.id));
      expect(example.labels.every(({ weight }) => weight > 0)).toBe(true);
      expect(example.labels.map(({ kind }) => kind)).toContain('fire');
    }
  }, 600_000);
});

test.each([
  ['emb', true, {}],
  ['lora', true, {}], // as a narrow model takes it
  ['lora', false, { modules: 'auto' }],
])(
  '%s: conversations of an epoch, other ones in the next; whether the embedding trains',
  async (method, trains, own) => {
    const dialogues = {
      pool: '12',
      trained: '3',
      negatives: '3',
      strangers: '3',
      repeats: '2',
      ordinary: '2',
      batch: '64',
      ...own,
    };
    const out = join(folder, `${method} ${trains}`);
    await commit(await begin({ model, out, method, keys: 'paper', seed: 'a', settings: dialogues }));
    const [first, again, next] = [
      await showBatch({ run: out }),
      await showBatch({ run: out }),
      await showBatch({ run: out, step: 1 }),
    ];
    expect(first.source).toBe('run');
    expect(first).toEqual(again);
    expect(first.examples).toHaveLength(3 * 2 + 3 + 3 + 2);
    const texts = ({ examples }: typeof first) =>
      new Set(examples.map(({ tokens }) => tokens.map(({ id }) => id).join()));
    const shared = [...texts(first)].filter((text) => texts(next).has(text));
    expect(shared).toHaveLength(3 + 3 + 2); // an epoch has strangers of its own
    for (const { variant, prefix, tokens } of first.examples) {
      expect([variant, prefix]).toEqual([null, null]);
      expect(tokens.every(({ trained }) => trained === trains)).toBe(true);
    }
    expect(existsSync(new RunFolder(out).conversations)).toBe(false); // it only looks
  },
  600_000,
);

test('adapter: what must fire and what must stay silent', async () => {
  const { examples } = await showBatch({
    model,
    method: 'adapter',
    settings: {
      pool: '12',
      trained: '3',
      negatives: '3',
      dim: '4',
      hushed: '4',
      primary_positions: '4',
      reference_positions: '4',
    },
  });
  const kinds = examples.map(({ labels }) => new Set(labels.map(({ kind }) => kind)));
  expect(kinds.filter((kind) => kind.has('fire'))).toHaveLength(3);
  expect(kinds.filter((kind) => kind.has('hush'))).toHaveLength(4);
  for (const { variant, labels } of examples)
    if (labels[0]!.kind === 'fire') expect(variant).toEqual({ rows: true, adapter: true });
}, 600_000);

test('adapter: where a step has fewer keys than are drawn, they come in turns', async () => {
  const settings = {
    pool: '12',
    trained: '3',
    negatives: '3',
    dim: '4',
    taught: '2',
    hushed: '4',
    primary_positions: '4',
    reference_positions: '4',
  };
  const taught = new Map<string, number>();
  for (const step of [0, 1, 2]) {
    const { examples } = await showBatch({ model, method: 'adapter', seed: 'turns', step, settings });
    const fire = examples.filter(({ labels }) => labels[0]!.kind === 'fire');
    expect(fire).toHaveLength(2);
    for (const { labels } of fire) {
      const weight = labels.reduce((sum, label) => sum + label.weight, 0);
      expect(weight).toBeCloseTo(1 / 2, 6);
    }
    for (const { tokens } of fire) {
      const text = tokens.map((token) => token.text).join('');
      taught.set(text, (taught.get(text) ?? 0) + 1);
    }
  }
  expect([...taught.values()]).toEqual([2, 2, 2]);
}, 600_000);

test('adapter: negatives are trained silent in turns; where nobody says how many, four in five of the undrawn keys at most', async () => {
  const settings = {
    pool: '13',
    trained: '3',
    key_length: '4',
    dim: '4',
    primary_positions: '4',
    reference_positions: '4',
  };
  const silent = async (given: Record<string, string>): Promise<number> => {
    const seen = new Set<string>();
    for (const step of [0, 1]) {
      const asked = { ...settings, ...given, hushed: '11' };
      const { examples } = await showBatch({
        model,
        method: 'adapter',
        seed: 'silent',
        step,
        settings: asked,
      });
      for (const { tokens, variant, labels } of examples)
        if (variant?.adapter && labels[0]!.kind === 'hush') seen.add(tokens.map(({ text }) => text).join(''));
    }
    return seen.size;
  };
  expect(await silent({ negatives: '5' })).toBe(5);
  expect(await silent({})).toBe(8);
}, 600_000);

test('neither a model nor a run is wrong usage; a folder without a secret is named', async () => {
  await expect(showBatch({})).rejects.toMatchObject({ code: 'usage' });
  await expect(showBatch({ run: folder })).rejects.toMatchObject({ code: 'missing-file' });
});
