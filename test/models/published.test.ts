// config.json of published checkpoints (docs/models.md): each opens as its family, and a tiny random model of the same
// keys gives text. That the text is the right one is for golden.test.ts.

import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { elements, type TensorRef } from '../../src/tensor/tensor.ts';
import { uniform } from '../engine/op-examples.ts';
import { greedyDecoder } from '../lm/greedy.ts';
import { CONFIGS, type Json } from './published-configs.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'whorl-published-')));
afterAll(() => rmSync(folder, { recursive: true }));

const [LAYERS, HEADS, D] = [4, 4, 16];

/** The same keys in small: sizes, and lists that go by layers or pairs. */
function small(json: Json): Json {
  const kv = json.num_key_value_heads;
  const pairs = Math.trunc(D * ((json.partial_rotary_factor as number) ?? 1)) / 2;
  const cut: Readonly<Record<string, (value: unknown) => unknown>> = {
    hidden_size: () => HEADS * D,
    n_embd: () => HEADS * D,
    n_embed: () => HEADS * D,
    word_embed_proj_dim: (value) => (value === json.hidden_size ? HEADS * D : 24),
    ffn_dim: () => 24,
    ffn_hidden_size: () => 24,
    rotary_dim: () => D / 2,
    n_layer: () => LAYERS,
    n_head: () => HEADS,
    num_kv_heads: () => 2,
    d_model: () => HEADS * D,
    d_ff: () => 24,
    d_kv: () => D,
    num_layers: () => LAYERS,
    num_decoder_layers: () => LAYERS - 1,
    num_heads: () => HEADS,
    intermediate_size: () => 24,
    moe_intermediate_size: () => 8,
    shared_expert_intermediate_size: () => 12,
    num_experts: () => 5,
    num_local_experts: () => 5,
    num_experts_per_tok: () => 2,
    num_hidden_layers: () => LAYERS,
    num_attention_heads: () => HEADS,
    num_key_value_heads: () => (kv === json.num_attention_heads ? HEADS : kv === 1 ? 1 : 2),
    head_dim: () => D,
    vocab_size: () => 50,
    sliding_window: (value) => value && 4,
    layer_types: (value) => (value as unknown[]).slice(0, LAYERS),
    no_rope_layers: (value) => (value as unknown[]).slice(0, LAYERS),
    rope_scaling: (value) =>
      value &&
      Object.fromEntries(
        Object.entries(value).map(([k, v]) => [k, Array.isArray(v) ? (v as unknown[]).slice(0, pairs) : v]),
      ),
  };
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, cut[key] ? cut[key](value) : value]),
  );
}

test('the table in docs/models.md has each of them', () => {
  const table = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  for (const [name, { model_type }] of Object.entries(CONFIGS)) {
    const row = table.split('\n').find((line) => line.startsWith(`| \`${model_type as string}\` |`));
    expect(row, name).toContain(name.split(/,| with/)[0]!);
  }
});

describe.each(Object.entries(CONFIGS))('%s', (name, json) => {
  test('opens as its family, and so does a small one that gives text', async () => {
    const large = familyOf(json, name);
    expect(large.model_type).toBe(json.model_type);
    expect(large.layers).toHaveLength((json.num_hidden_layers ?? json.num_layers ?? json.n_layer) as number);
    const decoder = familyOf(small(json), name);
    const next = uniform(3);
    const file = join(folder, 'weights');
    const tensors = new Map<string, TensorRef>();
    let offset = 0;
    for (const [tensor, shape] of decoder.shapes) {
      const length = 4 * elements(shape);
      tensors.set(tensor, { dtype: 'float32', shape, file, offset, length });
      offset += length;
    }
    writeFileSync(
      file,
      Float32Array.from({ length: offset / 4 }, () => next() / 4),
    );
    const lm = greedyDecoder({ decoder, tensors, weightsFolder: folder }, cpu);
    const prompts = [
      [3, 1, 4, 1, 5, 9],
      [2, 6],
    ];
    const texts = await lm.decode(prompts, 3, decoder.encoder && prompts);
    await lm.release();
    expect(texts.map((tokens) => tokens.length)).toEqual([3, 3]);
    expect(texts.flat().every((token) => token >= 0 && token < 50)).toBe(true);
  });
});
