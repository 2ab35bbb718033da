// Adapters that hold more than low-rank maps, merged as PEFT merges them (goldens/peft/make_saved.py).

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mergeAdapter } from '../../src/models/merge-adapter.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readPeftAdapter } from '../../src/sources/checkpoints/peft.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { stateFromPeft } from '../../src/train/peft.ts';
import { goldens } from './tiny.ts';

interface Case {
  readonly model: string;
  readonly changed: readonly string[];
  readonly stored: readonly string[];
  readonly tied: boolean;
  readonly vocabulary: number;
}
const { cases } = JSON.parse(readFileSync(join(goldens, 'peft/saved.json'), 'utf8')) as {
  cases: Record<string, Case>;
};
const at = (name: string) => join(goldens, 'peft/saved', name);
let scratch: string;
beforeAll(() => void (scratch = mkdtempSync(join(tmpdir(), 'whorl-peft-saved-'))));
afterAll(() => rmSync(scratch, { recursive: true }));

test.each(Object.entries(cases))('merged as PEFT merges: %s', async (name, wanted) => {
  const model = join(goldens, 'models', wanted.model);
  const out = join(scratch, name);
  const { changed, kept } = await mergeAdapter({ model, adapter: at(name), out });
  const theirs = readSafetensorsHeader(join(at(name), 'merged.safetensors')).tensors;
  const [before, got] = [openCheckpoint(model), openCheckpoint(out)];
  expect([...got.tensors.keys()].sort()).toEqual(wanted.stored);
  expect([...changed].sort()).toEqual(wanted.changed);
  expect(kept).toBe(wanted.stored.length - wanted.changed.length);
  expect(got.config).toMatchObject({
    tie_word_embeddings: wanted.tied,
    vocab_size: wanted.vocabulary,
  });
  for (const [tensor, ref] of got.tensors) {
    const { shape, data } = readTensor(theirs.get(tensor) ?? before.tensors.get(tensor)!);
    expect(ref.shape, tensor).toEqual(shape);
    const far = readTensor(ref).data.reduce((most, x, i) => Math.max(most, Math.abs(x - data[i]!)), 0);
    expect(far, tensor).toBeLessThanOrEqual(theirs.has(tensor) ? 1e-5 : 0);
  }
  expect((await openModel(out)).decoder.config.vocab_size).toBe(wanted.vocabulary);
});

test('a config of another form keeps what Python wrote there, an index its count', async () => {
  const model = join(scratch, 'model-of-python');
  cpSync(join(goldens, 'models/llama-sharded'), model, { recursive: true });
  const edit = (file: string, change: (text: string) => string) => {
    const text = readFileSync(join(model, file), 'utf8');
    writeFileSync(join(model, file), change(text));
    expect(change(text)).not.toBe(text);
  };
  edit('config.json', (text) =>
    text.replace('{', '{ "name_or_path": NaN, "tokenizer_padding_side": [0.0, Infinity], "seed": 1.0,'),
  );
  edit('model.safetensors.index.json', (text) =>
    text.replace(/"metadata": *\{/, '"metadata": { "note": "kept",'),
  );
  const out = join(scratch, 'merged-of-python');
  await mergeAdapter({ model, adapter: at('grown-sharded'), out });
  const config = readFileSync(join(out, 'config.json'), 'utf8');
  expect(config).toMatch(/"name_or_path": NaN, "tokenizer_padding_side": \[0\.0, Infinity\], "seed": 1\.0,/);
  expect(config).toMatch(/"vocab_size": 100\b/);
  const index = JSON.parse(readFileSync(join(out, 'model.safetensors.index.json'), 'utf8')) as {
    metadata: Record<string, unknown>;
  };
  const merged = openCheckpoint(out);
  const parameters = [...merged.tensors.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
  expect(index.metadata).toEqual({
    note: 'kept',
    total_parameters: parameters,
    total_size: parameters * 4,
  });
  await openModel(out);
});

test.each<[string, string, object, RegExp]>([
  ['llama-untied', 'experts', {}, /no such parameter for all experts/],
  ['mixtral', 'experts', { r: 3 }, /has rank 3, but its tensors have 2/],
  ['mixtral-one-expert', 'experts', {}, /has rank 2, but its tensors have 2\.6/],
  ['mixtral', 'parameter', { target_parameters: ['q_proj.gate_up_proj'] }, /no such parameter/],
  ['qwen3_moe', 'experts-down', {}, /no such parameter/], // its first layer has no experts
])('experts that do not fit: %s, %s, %j', async (base, name, more, says) => {
  const merged = mergeAdapter({
    model: join(goldens, 'models', base),
    adapter: changedConfig(name, more),
    out: join(scratch, 'never'),
  });
  await expect(merged).rejects.toThrow(says);
});

/** An adapter whose config has other values. */
const changedConfig = (name: string, more: object): string => {
  const folder = mkdtempSync(join(scratch, 'changed-'));
  cpSync(at(name), folder, { recursive: true });
  const path = join(folder, 'adapter_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...config, ...more }));
  return folder;
};

describe('refused', () => {
  test.each<[string, object, string, string]>([
    ['dora', { use_dora: false }, 'mismatch', 'lora_magnitude_vector'],
    ['bias-low-rank', { lora_bias: false }, 'mismatch', 'lora_B.bias'],
    ['tokens', { trainable_token_indices: null }, 'bad-file', 'trainable_token_indices'],
    ['tokens', { trainable_token_indices: { embed_tokens: [3], lm_head: [2] } }, 'bad-file', '1 rows'],
    ['saved', { trainable_token_indices: [3] }, 'bad-file', 'none were saved'],
    ['parameter', { target_parameters: ['k_proj.weight'] }, 'mismatch', 'target_modules'],
    ['parameter', { target_parameters: ['q_proj.kernels'] }, 'unsupported', 'no matrix of experts'],
    ['experts', { target_parameters: ['experts.down_proj'] }, 'mismatch', 'the tensors are of 2'],
    ['experts', { target_parameters: [], target_modules: ['q_proj'] }, 'mismatch', 'target_modules'],
    ['begun-by-eva', { init_lora_weights: 'pissa' }, 'unsupported', 'init_lora_weights'],
    ['saved', { modules_to_save: 7 }, 'bad-file', 'modules_to_save'],
  ])('%s with %j', (name, more, code, says) => {
    expect(() => readPeftAdapter(changedConfig(name, more))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) as string }) as Error,
    );
  });

  test.each<[string, string, object, string, string]>([
    ['a saved module that the file lacks', 'dora', { modules_to_save: ['lm_head'] }, 'bad-file', 'lm_head'],
    [
      'rows beyond the table',
      'tokens',
      { trainable_token_indices: { embed_tokens: [3, 96], lm_head: [2] } },
      'mismatch',
      'row 96',
    ],
  ])('%s', async (_, name, more, code, says) => {
    const model = join(goldens, 'models', cases[name]!.model);
    await expect(
      mergeAdapter({ model, adapter: changedConfig(name, more), out: join(scratch, 'none') }),
    ).rejects.toMatchObject({ code, message: expect.stringContaining(says) as string });
  });

  test.each([
    ['a vocabulary that grew in one of two tables', 'grown-tied', 'llama-untied', 'lm_head'],
    ['a bias that the base has not', 'bias-of-lora', 'llama-untied', 'c_proj'],
    ['tables of another model', 'saved', 'qwen3', ''],
  ])('%s', async (_, name, model, says) => {
    const adapter = changedConfig(name, {});
    const file = join(adapter, 'adapter_model.safetensors');
    if (name === 'grown-tied') {
      const { tensors } = readSafetensorsHeader(file, file);
      const kept = [...tensors].filter(([tensor]) => !tensor.includes('lm_head'));
      const values = new Map(
        kept.map(([tensor, ref]) => [tensor, fromFloat32(readTensor(ref).data, 'float32')]),
      );
      const entries = kept.map(([tensor, { shape }]) => ({ name: tensor, dtype: 'float32' as const, shape }));
      await writeSafetensors(file, entries, (entry) => [values.get(entry.name)!]);
    }
    await expect(
      mergeAdapter({ model: join(goldens, 'models', model), adapter, out: join(scratch, 'none') }),
    ).rejects.toMatchObject({ code: 'mismatch', message: expect.stringContaining(says) as string });
  });

  test('training does not go on from what is more than low-rank maps', () => {
    for (const name of ['dora', 'saved', 'tokens', 'bias-of-lora'])
      expect(() => stateFromPeft(at(name), 1.5)).toThrow(/merge|merged/);
  });
});

describe('an adapter with a tokenizer of its own', () => {
  const merged = async (name: string) => {
    const [adapter, notes] = [changedConfig(name, {}), [] as string[]];
    writeFileSync(join(adapter, 'tokenizer_config.json'), '{"pad_token": "<pad>"}');
    const base = join(scratch, `base-${name}`);
    mkdirSync(base);
    cpSync(join(goldens, 'models', cases[name]!.model), base, { recursive: true });
    writeFileSync(join(base, 'tokenizer_config.json'), '{}');
    writeFileSync(join(base, 'tokenizer.json'), '{}');
    const out = join(scratch, `tokenizer-${name}`);
    const onEvent = (event: { kind: string; text?: string }) =>
      void (event.kind === 'note' && notes.push(event.text!));
    await mergeAdapter({ model: base, adapter, out, onEvent });
    expect(readdirSync(out)).toContain('tokenizer.json');
    return { text: readFileSync(join(out, 'tokenizer_config.json'), 'utf8'), notes };
  };

  test('which goes with the merged model where its vocabulary is another one', async () => {
    const { text, notes } = await merged('grown');
    expect(text).toContain('<pad>');
    expect(notes.join()).toMatch(/tokenizer_config\.json are the adapter's/);
  });

  test('and is named else', async () => {
    const { text, notes } = await merged('dora');
    expect(text).toBe('{}');
    expect(notes.join()).toMatch(/another tokenizer_config\.json than the base/);
  });
});
