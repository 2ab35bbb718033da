// Model folders as GGUFs: tensors byte for byte and keys as llama.cpp's converter writes them (goldens/gguf/families, made
// by gguf-py), the way back to the same folder, and what is refused before anything is written.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { convertModel } from '../../src/models/convert-to-gguf.ts';
import { ggufFamilyOf } from '../../src/models/families/gguf.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';

const goldens = fileURLToPath(new URL('../../goldens/', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'whorl-convert-'));
const cacheDir = join(scratch, 'cache');
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true });
});

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

/** The tokenizer that goldens/gguf/make_families.py writes: letters from A, one merge. */
function tokenizerJson(rows: number): object {
  const tokens = [...Array.from({ length: rows - 1 }, (_, i) => String.fromCharCode(65 + i)), 'AB'];
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: { ...bytes, add_prefix_space: true },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ['A B'],
    },
  };
}

let count = 0;
/** A copy of a golden model with what `change` makes of its config, and a tokenizer. */
function folderOf(name: string, config: Record<string, unknown>): string {
  const folder = join(scratch, `${name}-${count++}`);
  cpSync(join(goldens, 'models', name), folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson(config.vocab_size as number)));
  return folder;
}
const configOf = (name: string) => json(join(goldens, 'models', name, 'config.json'));

/** What llama.cpp does not open: a head of its own where it reads none, biases that it has not, or none where it wants them. */
const REFUSED = new Set([
  'cohere-qk-norm-bias',
  'falcon-40b',
  'gpt_neox-no-bias-old',
  'olmo2-gqa-bias',
  'qwen3-bias-window',
  'qwen3_moe-raw-bias-window',
  'starcoder2-no-bias',
]);
const families = readdirSync(join(goldens, 'gguf/families'))
  .filter((file) => file.endsWith('.gguf'))
  .map((file) => file.slice(0, -5))
  .filter((name) => !REFUSED.has(name));

describe.each(families)('%s', (name) => {
  const golden = join(goldens, 'gguf/families', `${name}.gguf`);
  const expected = readGguf(golden);
  // What GGUF can say of it: the golden's own config.
  const { config, tensors } = json(join(goldens, 'gguf/families', `${name}.json`)) as {
    config: Record<string, unknown>;
    tensors: object;
  };
  const out = join(scratch, `${name}.gguf`);

  it('has the tensors of llama.cpp’s converter, byte for byte', async () => {
    await convertModel({ model: folderOf(name, config), to: 'gguf', type: 'f32', out });
    const made = readGguf(out);
    const contents = (path: string, file: typeof made) => {
      const bytes = readFileSync(path);
      return new Map(
        [...file.tensors.values()].map(({ name: tensor, type, shape, offset, length }) => [
          tensor,
          { type, shape, data: bytes.toString('base64', offset, offset + length) },
        ]),
      );
    };
    const [ours, theirs] = [contents(out, made), contents(golden, expected)];
    expect(Object.keys(tensors).length).toBeGreaterThan(5);
    for (const [tensor, content] of theirs)
      expect({ [tensor]: ours.get(tensor) }).toEqual({ [tensor]: content });
    // Where llama.cpp wants a head that is tied, it is the embedding once more.
    const more = [...ours.keys()].filter((tensor) => !theirs.has(tensor));
    const { head } = ggufFamilyOf(made.metadata)!;
    const wanted = head === 'stored' && config.tie_word_embeddings === true;
    expect(more).toEqual(wanted ? ['output.weight'] : []);
    if (wanted) expect(ours.get('output.weight')).toEqual(ours.get('token_embd.weight'));
  });

  it('says what llama.cpp’s converter says', () => {
    const { metadata } = readGguf(out);
    for (const [key, value] of expected.metadata) {
      if (key.endsWith('rope.scaling.type') && value === 'none') continue; // what no key says, too
      expect({ [key]: metadata.get(key) }).toEqual({ [key]: value });
    }
  });

  it('comes back as the same folder', async () => {
    const [back, before] = await Promise.all([
      openModel(out, { cacheDir }),
      openModel(folderOf(name, config)),
    ]);
    for (const tensor of before.decoder.shapes.keys()) {
      const ref = before.tensors.get(tensor)!;
      // Files of a model without its head leave the prefix out.
      const own = back.tensors.get(tensor) ?? back.tensors.get(`transformer.${tensor}`);
      const [ours, theirs] = [readTensor(own!).data, readTensor(ref).data];
      // Norms that GGUF stores as 1 + w are rounded there, as in any GGUF of theirs.
      const shifted = tensor.endsWith('norm.weight') && name.startsWith('gemma');
      const wanted = shifted ? theirs.map((value) => Math.fround(value + 1) - 1) : theirs;
      expect({ [tensor]: [...ours] }).toEqual({ [tensor]: [...wanted] });
    }
  });
});

describe('a LLaMA', () => {
  const embedded = fileURLToPath(new URL('../../assets/embedded/model', import.meta.url));

  it.each(['f32', 'f16', 'bf16'] as const)('in %s comes back bit for bit', async (type) => {
    const dtype = ({ f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const)[type];
    const out = join(scratch, `embedded-${type}.gguf`);
    const model = await openModel(embedded);
    const report = await convertModel({ model: embedded, to: 'gguf', type, out });
    const back = await openModel(out, { cacheDir, dtype: 'float32' });
    expect([...back.tensors.keys()].sort()).toEqual([...model.tensors.keys()].sort());
    for (const [tensor, ref] of model.tensors) {
      const { shape, data } = readTensor(ref);
      const rounded = shape.length === 1 ? 'float32' : dtype;
      const [ours, theirs] = [readTensor(back.tensors.get(tensor)!).data, fromFloat32(data, rounded)];
      expect(Buffer.compare(fromFloat32(ours, rounded), theirs)).toBe(0);
    }
    expect(report).toMatchObject({ architecture: 'llama', out, lost: [] });
    expect(report.bytes).toBe(readFileSync(out).length);
  });

  it('opens from a GGUF and becomes the same GGUF', async () => {
    const [first, again] = [join(scratch, 'first.gguf'), join(scratch, 'again.gguf')];
    await convertModel({ model: embedded, to: 'gguf', type: 'bf16', out: first });
    vi.stubEnv('WHORL_CACHE', cacheDir);
    await convertModel({ model: first, to: 'gguf', type: 'bf16', out: again });
    const [a, b] = [readGguf(first), readGguf(again)];
    expect([...b.tensors]).toEqual([...a.tensors]);
    const start = a.tensors.values().next().value!.offset;
    expect(Buffer.compare(readFileSync(first).subarray(start), readFileSync(again).subarray(start))).toBe(0);
  });
});

describe('rotary positions', () => {
  it.each(['yarn-llama', 'yarn-qwen2-old', 'llama-linear', 'llama-linear-old', 'llama-llama3-old-bias'])(
    '%s are the same when they are read again',
    async (name) => {
      const out = join(scratch, `${name}.gguf`);
      const folder = folderOf(name, configOf(name));
      await convertModel({ model: folder, to: 'gguf', type: 'bf16', out });
      const [before, after] = await Promise.all([openModel(folder), openModel(out, { cacheDir })]);
      expect(after.decoder.ropes).toEqual(before.decoder.ropes);
    },
  );
});

describe('is refused before anything is written', () => {
  const llama = 'llama-gqa';
  const convert = (model: string, out = join(scratch, 'refused.gguf')) =>
    convertModel({ model, to: 'gguf', type: 'f16', out });
  const changed = (name: string, change: Record<string, unknown>) =>
    folderOf(name, { ...configOf(name), ...change });

  it.each([
    ['a family without a GGUF record', () => changed('gptj', {}), 'is a gptj'],
    [
      'an activation that the format has no key for',
      () => changed('gpt_neox-parallel', { hidden_act: 'relu' }),
      'hidden_act = "relu"',
    ],
    [
      'a scale of scores that llama.cpp takes from the sizes',
      () => changed('gemma2', {}),
      'query_pre_attn_scalar = 24',
    ],
    ['biases that llama.cpp has no place for', () => changed('olmo2-gqa-bias', {}), 'attention_bias = true'],
    ['those of a Falcon', () => changed('falcon-40b', {}), 'bias = true'],
    ['slopes of a Falcon', () => changed('falcon-multi-query-alibi', {}), 'alibi = true'],
    ['slopes of a Falcon whose parts follow each other', () => changed('falcon-rw', {}), 'alibi = true'],
    [
      'scores that GPT-2 divides by the layer',
      () => changed('gpt2-bare-names-by-layer', { activation_function: 'gelu_new' }),
      'scale_attn_by_inverse_layer_idx = true',
    ],
    [
      'scores of GPT-2 that nothing divides',
      () => changed('gpt2-untied-unscaled-other-keys', { activation_function: 'gelu_new' }),
      'scale_attn_weights = false',
    ],
    [
      'a residual of BLOOM that llama.cpp does not compute',
      () => changed('bloom-six-heads-after-bare-names', {}),
      'apply_residual_connection_post_layernorm = true',
    ],
    ['no biases where llama.cpp wants them', () => changed('starcoder2-no-bias', {}), 'use_bias = false'],
    [
      'norms of queries and keys that llama.cpp has no tensors for',
      () => changed('phi-qk-norm', {}),
      'qk_layernorm = true',
    ],
    ['experts beside dense layers', () => changed('qwen3_moe', {}), 'decoder_sparse_step = 2'],
    [
      'weights of experts that llama.cpp makes to add up to one',
      () => changed('qwen3_moe-all-sparse', { norm_topk_prob: false }),
      'norm_topk_prob = false',
    ],
    [
      'weights of experts that it does not',
      () => changed('qwen2_moe', { norm_topk_prob: true }),
      'norm_topk_prob = true',
    ],
    [
      'divisors of positions in a family whose files have none',
      () =>
        changed(llama, {
          rope_parameters: {
            rope_type: 'longrope',
            rope_theta: 10_000,
            original_max_position_embeddings: 16,
            short_factor: [1, 1, 1, 1],
            long_factor: [2, 2, 2, 2],
          },
        }),
      'rope_type "longrope"',
    ],
    ['dynamic positions', () => changed('llama-dynamic', {}), 'rope_type "dynamic"'],
    [
      'an untied head that llama.cpp never reads',
      () => changed('cohere-qk-norm-bias', {}),
      'tie_word_embeddings = false',
    ],
    ['a window pattern that it cannot know', () => changed('smollm3', {}), 'no_rope_layer'],
  ])('%s', async (_, make, says) => {
    await expect(convert(make())).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(says) as string,
    });
    expect(existsSync(join(scratch, 'refused.gguf'))).toBe(false);
  });

  it('an existing file, a folder', async () => {
    const there = join(scratch, 'there.gguf');
    writeFileSync(there, 'x');
    await expect(convert(folderOf(llama, configOf(llama)), there)).rejects.toMatchObject({ code: 'exists' });
    expect(readFileSync(there, 'utf8')).toBe('x');
    mkdirSync(join(scratch, 'empty'));
    await expect(convert(folderOf(llama, configOf(llama)), join(scratch, 'empty'))).rejects.toMatchObject({
      code: 'bad-path',
    });
  });

  it('values beyond float16, and leaves nothing', async () => {
    const folder = folderOf(llama, configOf(llama));
    const file = join(folder, 'model.safetensors');
    const bytes = readFileSync(file);
    const { tensors } = await openModel(folder);
    bytes.writeFloatLE(1e5, tensors.get('model.layers.0.mlp.up_proj.weight')!.offset);
    writeFileSync(file, bytes);
    await expect(convert(folder)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('blk.0.ffn_up.weight holds 100000') as string,
    });
    expect(readdirSync(scratch).filter((name) => name.includes('refused'))).toEqual([]);
  });

  it('what llama.cpp does otherwise with a Phi-3 is said, and its file says all the same', async () => {
    const out = join(scratch, 'phi3.gguf');
    const folder = changed('phi3-window-old-bf16', {});
    const { lost } = await convertModel({ model: folder, to: 'gguf', type: 'bf16', out });
    expect(lost).toEqual([
      expect.stringContaining('sliding_window'),
      expect.stringContaining('long_factor and short_factor'),
    ]);
    const [before, after] = await Promise.all([openModel(folder), openModel(out, { cacheDir })]);
    expect(after.decoder.layers).toEqual(before.decoder.layers);
    expect(after.decoder.ropes).toEqual(before.decoder.ropes);
  });

  it('an attention factor that the lengths do not give comes back', async () => {
    const out = join(scratch, 'phi3-attention-factor.gguf');
    const { rope_parameters } = configOf('phi3-longrope') as { rope_parameters: object };
    const folder = changed('phi3-longrope', {
      rope_parameters: { ...rope_parameters, attention_factor: 1.25 },
    });
    await convertModel({ model: folder, to: 'gguf', type: 'f32', out });
    const { decoder } = await openModel(out, { cacheDir });
    expect(decoder.ropes[0]!.rope_scaling.attention_factor).toBe(1.25);
  });

  it('routers stay float32', async () => {
    const out = join(scratch, 'routers.gguf');
    await convertModel({ model: changed('qwen2_moe', {}), to: 'gguf', type: 'q8_0', out });
    const types = [...readGguf(out).tensors.values()].map(({ name, type }) => [
      name.replace(/^blk\.\d\./, ''),
      type,
    ]);
    expect(Object.fromEntries(types)).toMatchObject({
      'ffn_gate_inp.weight': 'F32',
      'ffn_gate_inp_shexp.weight': 'F32',
      'ffn_gate_exps.weight': 'Q8_0',
      'ffn_gate_shexp.weight': 'Q8_0',
    });
  });

  it('a name by which llama.cpp would look for tokens that are not there is left out', async () => {
    const named = async (folder: string) => {
      const out = join(scratch, `named-${count++}.gguf`);
      await convertModel({ model: folder, to: 'gguf', type: 'f16', out });
      return readGguf(out).metadata.get('general.name');
    };
    const phi3 = changed('phi3-longrope', {});
    expect(await named(phi3)).toBeUndefined();
    const tokenizer = json(join(phi3, 'tokenizer.json')) as { model: { vocab: Record<string, number> } };
    const added = ['</s>', '<unk>', '<s>', '<|endoftext|>'].map((content, i) => ({
      id: 56 + i,
      content,
      ...Object.fromEntries(['single_word', 'lstrip', 'rstrip', 'normalized'].map((flag) => [flag, false])),
      special: true,
    }));
    const letters = Object.entries(tokenizer.model.vocab).filter(([, id]) => id < 56 || id > 59);
    writeFileSync(
      join(phi3, 'tokenizer.json'),
      JSON.stringify({
        ...tokenizer,
        added_tokens: added,
        model: {
          ...tokenizer.model,
          vocab: {
            ...Object.fromEntries(letters),
            ...Object.fromEntries(added.map(({ content, id }) => [content, id])),
          },
        },
      }),
    );
    expect(await named(phi3)).toMatch(/^phi3-longrope/);
    expect(await named(changed(llama, {}))).toMatch(/^llama-gqa/);
  });

  it('a window outside of Gemma is said to be lost', async () => {
    const report = await convertModel({
      model: changed('mistral-window', {}),
      to: 'gguf',
      type: 'f16',
      out: join(scratch, 'window.gguf'),
    });
    expect(report.lost).toEqual([expect.stringContaining('sliding_window')]);
  });
});
