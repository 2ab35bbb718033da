// Tiny models of every family as llama.cpp's converter writes them (goldens/gguf/make_families.py): the same decoder and
// the same tensors as the Hugging Face folder they were made of, less what GGUF has no key for.

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { GGUF_FAMILIES, ggufFamilyOf } from '../../src/models/families/gguf.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { ggufWeights } from '../../src/models/gguf-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';

const goldens = fileURLToPath(new URL('../../goldens/gguf/families/', import.meta.url));
const cacheDir = mkdtempSync(join(tmpdir(), 'whorl-gguf-families-'));
afterAll(() => rmSync(cacheDir, { recursive: true }));

interface Golden {
  config: Record<string, unknown>;
  tensors: Record<string, { shape: number[]; sha256: string }>;
}
const names = readdirSync(goldens)
  .filter((file) => file.endsWith('.gguf'))
  .map((file) => file.slice(0, -5));
const read = (name: string) => JSON.parse(readFileSync(join(goldens, `${name}.json`), 'utf8')) as Golden;
const models = fileURLToPath(new URL('../../goldens/models/', import.meta.url));
/** Whether each number of a config.json is written as one of Python's floats, by key. */
const asFloats = (text: string): ReadonlyMap<string, boolean> =>
  new Map(
    [...text.matchAll(/"(\w+)": (-?\d[\d.e+-]*)/g)].map(([, key, number]) => [key!, /[.e]/.test(number!)]),
  );
/** What a decoder keeps in closures, so that only config.json shows it. */
const IN_FORWARD =
  /eps|multiplier|logit|softcapping|hidden_act|^activation|^alibi|residual_connection|bias$|parallel|per_tok|topk_prob/;

describe.each(names)('%s', (name) => {
  const { config, tensors } = read(name);

  it('is the decoder of the Hugging Face folder', async () => {
    const model = await openModel(join(goldens, `${name}.gguf`), { cacheDir });
    const expected = familyOf(config, name);
    const { decoder } = model;
    expect(decoder.config).toEqual(expected.config);
    expect(decoder.ropes).toEqual(expected.ropes);
    expect(decoder.layers).toEqual(expected.layers);
    expect(decoder.scores).toEqual(expected.scores);
    expect(decoder.shapes).toEqual(expected.shapes);
    expect(Object.keys(decoder)).toEqual(Object.keys(expected));
    for (const [key, value] of Object.entries(config).filter(([key]) => IN_FORWARD.test(key)))
      if (key in model.config) expect({ [key]: model.config[key] ?? null }).toEqual({ [key]: value });
      else expect({ [key]: value || undefined }).toEqual({ [key]: undefined });
  });

  // transformers 5 refuses a whole number where it declares a float alone, as Gemma 2 does for its caps.
  it('writes floats where transformers does', async () => {
    const { folder } = await openModel(join(goldens, `${name}.gguf`), { cacheDir });
    const theirs = asFloats(readFileSync(join(models, name, 'config.json'), 'utf8'));
    const ours = asFloats(readFileSync(join(folder, 'config.json'), 'utf8'));
    const bases = ['rope_theta', 'rotary_emb_base']; // old configs have them either way
    const both = [...ours].filter(([key]) => theirs.has(key) && !bases.includes(key));
    expect(both.length).toBeGreaterThan(3); // the fewest where sizes go by other names
    expect(bases.map((key) => ours.get(key) ?? true)).toEqual([true, true]);
    expect(both).toEqual(both.map(([key]) => [key, theirs.get(key)]));
  });

  it('has its tensors, bit for bit', async () => {
    const model = await openModel(join(goldens, `${name}.gguf`), { cacheDir });
    const made = [...model.tensors].map(([tensor, ref]) => {
      const { shape, data } = readTensor(ref);
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      return [tensor, { shape, sha256: createHash('sha256').update(bytes).digest('hex') }];
    });
    expect(Object.fromEntries(made)).toEqual(tensors);
  });
});

it('every architecture but LLaMA has a golden of its own', () => {
  const there = new Set(names.map((name) => read(name).config.model_type));
  const known = GGUF_FAMILIES.map(({ config }) => config.model_type);
  expect(known.filter((type) => !there.has(type as string))).toEqual([]);
});

describe('refused by name', () => {
  /** The file with the bytes of one name replaced by others of the same length. */
  function renamed(name: string, from: string, to: string): string {
    const bytes = readFileSync(join(goldens, `${name}.gguf`));
    bytes.write(to, bytes.indexOf(from));
    const path = join(cacheDir, `${name}-${to.replaceAll('/', '-')}.gguf`);
    writeFileSync(path, bytes);
    return path;
  }

  it.each([
    [
      'a key of another architecture',
      'qwen2',
      'qwen2.attention.head_count_kv',
      'qwen2.attention.clamp_kqv_xxx',
    ],
    ['a bias that the family has not', 'qwen2', 'blk.0.attn_k.bias', 'blk.0.ffn_up.bias'],
    ['a norm that the family has not', 'qwen3', 'blk.1.attn_q_norm.weight', 'blk.1.attn_x_norm.weight'],
    ['a block beyond the last', 'gemma2', 'blk.1.ffn_norm.weight', 'blk.9.ffn_norm.weight'],
  ])('%s', async (_, name, from, to) => {
    await expect(openModel(renamed(name, from, to), { cacheDir })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(to.slice(0, 17)) as string,
    });
  });

  it('norms that are not a row for each head', async () => {
    const bytes = readFileSync(join(goldens, 'stablelm-qk-norm-parallel.gguf'));
    const names = ['blk.1.attn_q_norm.weight', 'blk.1.attn_output.weight'] as const;
    const [norm, output] = names.map((name) => bytes.indexOf(name)) as [number, number];
    bytes.write(names[1], norm);
    bytes.write(names[0], output);
    const path = join(cacheDir, 'swapped.gguf');
    writeFileSync(path, bytes);
    await expect(openModel(path, { cacheDir })).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining('blk.1.attn_q_norm.weight does not split into heads of 16') as string,
    });
  });

  it.each([3, 2 ** 30])('experts of another number than is said: %i', async (experts) => {
    const bytes = readFileSync(join(goldens, 'mixtral.gguf'));
    const key = 'llama.expert_count';
    bytes.writeUInt32LE(experts, bytes.indexOf(key) + key.length + 4); // behind the type of its value
    const path = join(cacheDir, `experts-${experts}.gguf`);
    writeFileSync(path, bytes);
    await expect(openModel(path, { cacheDir })).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining(
        `blk.0.ffn_gate_inp.weight is [4,32], llama.expert_count is ${experts}`,
      ) as string,
    });
  });

  it('divisors that are not one a pair', async () => {
    const path = renamed('phi3-window-old-bf16', 'rope_factors_long.weight', 'rope_factors_lang.weight');
    await expect(openModel(path, { cacheDir })).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining('rope_factors_long.weight is [], not [4]') as string,
    });
  });

  it('no experts, said by a number, are a LLaMA', () => {
    const metadata = new Map<string, number | string>([
      ['general.architecture', 'llama'],
      ['llama.expert_count', 0],
    ]);
    expect(ggufFamilyOf(metadata)?.config.model_type).toBe('llama');
    expect(ggufFamilyOf(metadata.set('llama.expert_count', 8))?.config.model_type).toBe('mixtral');
  });

  it('a shared expert’s gate is a vector in files of older converters', async () => {
    const file = readGguf(join(goldens, 'qwen2_moe.gguf'));
    const tensors = new Map(
      [...file.tensors].map(([name, tensor]) => [
        name,
        name.endsWith('ffn_gate_inp_shexp.weight') ? { ...tensor, shape: [32] } : tensor,
      ]),
    );
    const weights = ggufWeights(ggufFamilyOf(file.metadata)!, { ...file, path: 'old', tensors });
    const gates = weights.filter(({ name }) => name.endsWith('shared_expert_gate.weight'));
    expect(gates.map(({ shape }) => shape)).toEqual([
      [1, 32],
      [1, 32],
    ]);
  });

  it('a layout of q, k and v that is not the one of all files', async () => {
    await expect(openModel(renamed('falcon-7b', 'jploski', 'another'), { cacheDir })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('falcon.tensor_data_layout is not "jploski"') as string,
    });
  });

  it.each([
    [2, 'unsupported', 'bloom.attention.head_count_kv is not that of all heads, 4'],
    [3, 'bad-file', 'bloom.attention.head_count_kv 3 does not divide 4 heads'],
  ])('%i heads of keys where the family has as many as of queries', async (heads, code, says) => {
    const bytes = readFileSync(join(goldens, 'bloom.gguf'));
    const key = 'bloom.attention.head_count_kv';
    bytes.writeUInt32LE(heads, bytes.indexOf(key) + key.length + 4); // after the value's type
    const path = join(cacheDir, `bloom-${heads}.gguf`);
    writeFileSync(path, bytes);
    await expect(openModel(path, { cacheDir })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says) as string,
    });
  });

  it('a key that is missing', async () => {
    const path = renamed('gpt_neox-parallel', 'gptneox.block_count', 'xptneox.block_count');
    await expect(openModel(path, { cacheDir })).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining('gptneox.block_count is missing') as string,
    });
  });
});
