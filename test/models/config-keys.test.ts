// Which keys of config.json are let through, refused by name, or refused as unknown: transformers' own attributes and
// what it computes with each (goldens/config), and what the user decides.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { withoutKeys } from '../../src/models/config.ts';
import { llamaConfig } from '../../src/models/families/llama.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';

type Json = Readonly<Record<string, unknown>>;

const goldens = new URL('../../goldens/', import.meta.url).pathname;
const readJson = (path: string) => JSON.parse(readFileSync(join(goldens, path), 'utf8')) as Json;
const golden = readJson('config/keys.json') as {
  lists: { config: string[]; generation: string[] }[];
  tried: Record<string, { value: unknown; outcome: string }>;
};
const PLAIN = readJson('models/llama-gqa/config.json');

const open = (changed: Json) => llamaConfig({ ...PLAIN, ...changed }, 'config.json');

/** They say which model it is, or whether a part is there that ours has not. */
const MEANT = new Set(['tie_word_embeddings', 'is_encoder_decoder', 'add_cross_attention', 'pruned_heads']);
const unknown = ['some_future_key', 'another.key'];

describe('against transformers', () => {
  const every = [...new Set(golden.lists.flatMap(({ config, generation }) => [...config, ...generation]))];
  test('the lists are there', () => expect(every.length).toBeGreaterThan(100));

  test.each(every.filter((key) => !MEANT.has(key)))(
    '%s of any model passes, with a wild value too',
    (key) => {
      expect(open({ [key]: golden.tried[key]!.value })).toEqual(open({}));
    },
  );

  const tried = Object.entries(golden.tried);
  const others = tried.filter(([key]) => !every.includes(key) && !unknown.includes(key));
  test.each(others.filter(([, { outcome }]) => outcome === 'same'))(
    '%s changes nothing in transformers: it opens',
    (key, { value }) => {
      if (key === 'attention_bias' || key === 'mlp_bias') return; // fresh biases are 0 there; ours must be in the file
      expect(open({ [key]: value })).toEqual(open({}));
    },
  );
  test.each(others.filter(([, { outcome }]) => outcome !== 'same'))(
    '%s changes what transformers computes: it is read or refused by name',
    (key, { value }) => {
      const { rope_parameters, ...other } = PLAIN;
      const rest = key.startsWith('rope_') ? other : { ...other, rope_parameters };
      const read = () => llamaConfig({ ...rest, [key]: value }, 'config.json');
      let config: unknown;
      try {
        config = read();
      } catch (error) {
        expect((error as Error).message).toContain(key);
        return;
      }
      expect(config).not.toEqual(open({}));
    },
  );
});

describe('values that stand for nothing', () => {
  test.each([
    ...Object.keys(golden.tried).filter((key) => key !== 'num_hidden_layers'),
    'sliding_window',
    'num_experts',
    'quantization_config',
    'no_such_key',
  ])('%s: null', (key) => {
    expect(() => open({ [key]: null })).not.toThrow();
  });
  test.each<[string, unknown, unknown]>([
    ['layer_types', ['full_attention', 'full_attention'], ['full_attention', 'sliding_attention']],
    ['use_sliding_window', false, true],
    ['logit_scale', 1, 0.0625],
    ['no_rope_layers', [1, 1], [1, 0]],
    ['pruned_heads', {}, { 0: [1] }],
    ['is_encoder_decoder', false, true],
    ['qk_layernorm', false, true],
  ])('%s: %j passes, %j is refused by name', (key, unused, used) => {
    expect(open({ [key]: unused })).toEqual(open({}));
    // Whether LLaMA's class reads it, goldens/config/ignored.json says; code of the folder's own may.
    expect(() => open({ [key]: used, auto_map: { AutoModelForCausalLM: 'x.Y' } })).toThrow(
      new RegExp(`${key} = .*changes the model's mathematics`),
    );
  });
});

describe('what nobody knows', () => {
  test('all of it in one line, in words that do not claim to know, with the way on', () => {
    const read = () => open({ a_tool: { x: 1 }, b_tool: 2, unsloth_version: '2024.9' });
    expect(read).toThrow(/does not know a_tool = \{"x":1\}, b_tool = 2, so it cannot tell/);
    expect(read).toThrow('--ignore-config-key a_tool --ignore-config-key b_tool');
    expect(read).not.toThrow(/mathematics/);
  });
  test('a field of rope_scaling', () => {
    const json = { ...PLAIN, rope_parameters: undefined, rope_theta: 5e4 };
    const with_ =
      (field: string, more = {}) =>
      () =>
        llamaConfig(
          { ...json, ...more, rope_scaling: { type: 'linear', factor: 2, [field]: 3 } },
          'x/config.json',
        );
    expect(with_('partial_rotary_factor')).toThrow(/factor = 3 changes the model's mathematics/);
    expect(with_('beta_fast', { auto_map: { AutoModelForCausalLM: 'x.Y' } })).toThrow(
      /beta_fast = 3 changes the model's mathematics/,
    );
    expect(with_('a_note')).toThrow(/--ignore-config-key rope_scaling\.a_note$/);
  });
  const rope = readJson('config/rope-fields.json') as {
    kinds: Record<string, Json>;
    fields: Json;
    idle: Record<string, string[]>;
    counts: Record<string, string[]>;
  };
  test.each(Object.entries(rope.kinds))('fields of other kinds of scaling: %s', (type, own) => {
    const base = readJson('models/llama-untied/config.json');
    const open = (more: Json) =>
      llamaConfig(
        { ...base, rope_parameters: undefined, rope_theta: 500, rope_scaling: { type, ...own, ...more } },
        'config.json',
      );
    for (const field of rope.idle[type]!) expect(() => open({ [field]: rope.fields[field] })).not.toThrow();
    if (type !== 'yarn')
      // whose own fields count only beside others, or in longer heads
      for (const field of rope.idle[type]!)
        expect(open({ [field]: rope.fields[field] }), field).toEqual(open({}));
    for (const field of rope.counts[type]!)
      expect(open({ [field]: rope.fields[field] }), field).not.toEqual(open({}));
  });
  test('ignored keys: outer, inner, and such as are not there', () => {
    const config = { a: 1, b: { c: 2, d: 3 }, 'e.f': 4 };
    expect(withoutKeys(config, ['a', 'b.c', 'e.f', 'x', 'b.x', 'a'])).toEqual({
      config: { b: { d: 3 } },
      ignored: ['a', 'b.c', 'e.f'],
    });
    expect(config).toEqual({ a: 1, b: { c: 2, d: 3 }, 'e.f': 4 });
  });
});

describe('on the command line', () => {
  let folder: string;
  let model: string;
  beforeAll(() => {
    folder = scratch();
    model = tinyModel(folder);
    const path = join(model, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Json;
    writeFileSync(path, JSON.stringify({ ...config, a_tool: 1, b_tool: 2 }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => vi.restoreAllMocks());

  const ask = (path: string, ...more: string[]) =>
    whorl('generate', '--model', path, '--prompt', 'a', '--max-new-tokens', '4', '--json', ...more);

  test('refused without the flag, and with it for one of two keys; opened with it for both', async () => {
    expect(await ask(model)).toMatchObject({ code: 1, out: '' });
    const one = await ask(model, '--ignore-config-key', 'a_tool');
    expect(one).toMatchObject({ code: 1, out: '' });
    expect(one.err).toMatch(/does not know b_tool = 2, so/);
    const plain = join(folder, 'plain');
    cpSync(model, plain, { recursive: true });
    cpSync(join(goldens, 'models/llama-tied/config.json'), join(plain, 'config.json'));
    const both = await ask(model, '--ignore-config-key', 'a_tool', '--ignore_config_key=b_tool');
    expect(both).toMatchObject({ code: 0, out: (await ask(plain)).out });
  });
});
