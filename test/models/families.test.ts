// Which config.json opens as what: two names of one key, options that are not handled, models that wrap another.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WhorlError } from '../../src/base/error.ts';
import { cpu } from '../../src/engine/session.ts';
import { slopesOf } from '../../src/models/blocks/alibi.ts';
import { Encoder } from '../../src/models/encode.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { batchFeeds } from '../../src/train/forward.ts';
import { greedyDecoder } from '../lm/greedy.ts';
import { openGolden } from './golden-models.ts';

type Json = Record<string, unknown>;
const configOf = (golden: string): Json =>
  JSON.parse(
    readFileSync(
      join(new URL('../../goldens/models/', import.meta.url).pathname, golden, 'config.json'),
      'utf8',
    ),
  ) as Json;

function refusal(config: Json): WhorlError {
  try {
    familyOf(config, 'config.json');
  } catch (error) {
    return error as WhorlError;
  }
  throw new Error('it opened');
}

describe('an option that is not handled is refused by its name', () => {
  test.each<[string, Json, string, string]>([
    ['gpt2', { add_cross_attention: true }, 'unsupported', 'add_cross_attention'],
    ['gpt2', { n_head: 5 }, 'bad-file', 'n_embd 32 is not a multiple of n_head 5'],
    ['gpt2', { n_embd: 32, hidden_size: 64 }, 'bad-file', 'hidden_size = 64'],
    ['gptj', { tie_word_embeddings: true }, 'unsupported', 'tie_word_embeddings'],
    ['gptj', { rotary: false }, 'unsupported', 'rotary'],
    ['gptj', { rotary_dim: 7 }, 'bad-file', '7 elements of a head of 16'],
    ['gptj', { rotary_dim: 18 }, 'bad-file', '18 elements of a head of 16'],
    ['opt', { activation_function: 'tanh' }, 'unsupported', 'activation_function'],
    ['opt', { do_layer_norm_before: 'yes' }, 'bad-file', 'do_layer_norm_before'],
    ['bloom', { n_inner: 48 }, 'unsupported', 'n_inner'],
    ['falcon-40b', { parallel_attn: false }, 'unsupported', 'parallel_attn'],
    ['falcon-40b', { num_ln_in_parallel_attn: 3 }, 'unsupported', 'num_ln_in_parallel_attn'],
    ['falcon-40b', { num_kv_heads: 3 }, 'bad-file', 'num_kv_heads 3'],
    ['falcon-rw', { num_kv_heads: 2 }, 'unsupported', 'num_kv_heads'],
    ['falcon-7b', { num_ln_in_parallel_attn: 2 }, 'unsupported', 'num_ln_in_parallel_attn'],
  ])('%s %o', (golden, change, code, says) => {
    const error = refusal({ ...configOf(golden), ...change });
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) as string });
  });
});

test('an unknown model_type is refused with the nearest, or with where the list is', () => {
  const error = refusal({ model_type: 'falkon' });
  expect(error).toMatchObject({ code: 'unsupported' });
  expect(error.message).toContain('did you mean falcon?');
  expect(refusal({ model_type: 'zzzzzzzzzzzz' }).message).toMatch(/is not supported: docs\/models\.md lists/);
  expect(refusal({}).message).toContain('model_type null is not supported');
});

describe('a model that wraps another', () => {
  test('is refused by name where Whorl does not know how', () => {
    const error = refusal({ model_type: 'paligemma', text_config: { model_type: 'gemma' } });
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message).toContain('"paligemma" wraps a language model (text_config: "gemma")');
    expect(error.message).toContain('docs/models.md lists');
    expect(refusal({ model_type: 'x', llm_config: {} }).message).toContain('llm_config');
  });

  test('has a language part that is known, and is refused by the part’s own key', () => {
    const config = configOf('wrapper-gemma3');
    const text = config.text_config as Json;
    expect(refusal({ ...config, text_config: { ...text, model_type: 'gemma9' } }).message).toContain(
      'text_config: model_type "gemma9" is not supported',
    );
    expect(refusal({ ...config, text_config: { ...text, hidden_activation: 'tanh' } }).message).toContain(
      'text_config: hidden_activation',
    );
    expect(refusal({ ...config, text_config: null })).toMatchObject({ code: 'bad-file' });
    expect(refusal({ ...config, quantization_config: { quant_method: 'awq' } }).message).toContain('awq');
  });

  test('ties its head as the whole model says', () => {
    const config = configOf('wrapper-llava-untied');
    expect(familyOf(config, 'config.json').config.tie_word_embeddings).toBe(false);
    const tied = familyOf({ ...config, tie_word_embeddings: true }, 'config.json');
    expect(tied.head).toBe('model.language_model.embed_tokens.weight');
  });
});

describe('learnt positions end', () => {
  const model = openGolden('gpt2'); // 64 positions
  const text = (length: number) => Array.from({ length }, (_, i) => i % 60);
  const refused = { code: 'unsupported', message: expect.stringContaining('learnt 64 positions') as string };

  test('a text as long as they are is scored, a longer one refused', async () => {
    const encoder = new Encoder(model, undefined, cpu);
    const asked = (length: number) => [{ tokens: text(length), wanted: [length - 1], labels: [0] }];
    const [scored] = await encoder.labels(asked(64));
    expect(Number.isFinite(scored!.logprobs[0])).toBe(true);
    await expect(encoder.labels(asked(65))).rejects.toMatchObject(refused);
    await encoder.release();
  });

  test('and so is one that grows beyond them, before anything is run', async () => {
    const decoder = greedyDecoder(model, cpu);
    const from = (length: number, steps: number) => decoder.decode([text(length)], steps);
    expect((await from(60, 5))[0]).toHaveLength(5); // the fifth is not looked at again
    await expect(from(60, 6)).rejects.toMatchObject(refused);
    await decoder.release();
  });

  test('and an example to train on', () => {
    const example = (length: number) => [{ tokens: text(length), variant: VANILLA, labels: [] }];
    expect(() => batchFeeds(model, example(64), undefined, false)).not.toThrow();
    expect(() => batchFeeds(model, example(65), undefined, false)).toThrow('learnt 64 positions');
  });
});

test('slopes are those of the paper: a power of two, and a number between two', () => {
  expect(slopesOf(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n)); // section 3
  const twelve = slopesOf(12);
  expect(twelve.slice(0, 8)).toEqual(slopesOf(8));
  expect(twelve.slice(8)).toEqual([0, 2, 4, 6].map((i) => slopesOf(16)[i]));
});

/** 2^30 layers took all memory, as many experts half a minute: each has names of its own. */
test.each([
  ['gemma3', { num_hidden_layers: 2 ** 30 }, 'num_hidden_layers is 1073741824, more than 10000'],
  ['gpt2', { n_layer: 10_001 }, 'n_layer is 10001, more than 10000'],
  ['mt5', { num_decoder_layers: 2 ** 31 - 1 }, 'num_decoder_layers is 2147483647, more than 10000'],
  ['mixtral', { num_local_experts: 2 ** 30 }, 'num_local_experts is 1073741824, more than 10000'],
  [
    'mixtral',
    { num_local_experts: 5000, num_hidden_layers: 5000 },
    '5000 layers of 5000 experts are 25000000, more than 200000',
  ],
])('more layers or experts than can be named: %s %j', (golden, change, says) => {
  expect(() => familyOf({ ...configOf(golden), ...change }, 'config.json')).toThrow(`config.json: ${says}`);
});
