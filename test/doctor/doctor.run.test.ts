// What `whorl doctor` says of models that are built differently: each trained fixture as torch counted it, an encoder-decoder
// and a model of experts; which methods would refuse each, and that a run refuses with the same words.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { doctor, fingerprint } from '../../src/index.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';
import { elements } from '../../src/tensor/tensor.ts';
import { tinyEncoderDecoder } from '../methods-fire/encoder-decoder.ts';

const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-doctor-'));
beforeAll(() => vi.stubEnv('WHORL_CACHE', join(scratch, 'cache')));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const TRAINED = join(packageRoot(), 'test/fixtures/trained');
const TRAINS = ['rows', 'adapter', 'sft', 'emb', 'lora'];

const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8'));

/** A model of zeros over the embedded model's vocabulary: all that is looked at here are its sizes. */
function empty(name: string, config: Record<string, unknown>): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  const embedded = join(packageRoot(), 'assets/embedded/model');
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(embedded, file), join(folder, file));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const entries = [...familyOf(config, folder).shapes].map(([key, shape]) => ({
    name: key,
    dtype: 'bfloat16' as const,
    shape,
  }));
  writeFileSync(
    join(folder, 'model.safetensors'),
    safetensorsBytes(
      entries.map((entry) => ({ ...entry, bytes: new Uint8Array(2 * elements(entry.shape)) })),
    ),
  );
  return folder;
}

describe.each(readdirSync(TRAINED))('%s', (family) => {
  test(
    'family, sizes, dtype, head and tokenizer; every method would take it',
    async () => {
      const folder = join(TRAINED, family);
      const [config, figures] = [json(join(folder, 'config.json')), json(join(folder, 'figures.json'))];
      const { model } = await doctor({ model: folder });
      expect(model).toMatchObject({
        family: config.model_type,
        parameters: figures.parameters,
        dtype: config.dtype,
        tied_head: config.tie_word_embeddings,
        vocabulary: 5120,
        tokenizer: {
          spelling: 'byte-level',
          ids: 5120,
          bos: '<|endoftext|>',
          eos: '<|endoftext|>',
          chat_template: true,
        },
        refused: {},
        unknown: ['stamp'],
      });
      expect(Object.keys(model!.runs)).toEqual(TRAINS);
      for (const run of Object.values(model!.runs)) expect(run).toMatchObject({ fits: true });
      expect(model!.free_rows.in_keys).toBeLessThanOrEqual(model!.free_rows.stand_alone);
      expect(model!.free_rows.in_keys).toBeGreaterThan(800);
    },
    LONG,
  );
});

test(
  'an encoder-decoder: of the methods that train, adapter and sft; the others, and a chat template, are refused with the same words',
  async () => {
    const t5 = tinyEncoderDecoder(join(scratch, 't5'), 't5');
    const { model } = await doctor({ model: t5 });
    expect(model).toMatchObject({ family: 't5', positions: null, runs: {}, unknown: ['adapter', 'sft'] });
    expect(Object.keys(model!.refused)).toEqual(['rows', 'emb', 'lora', 'stamp']);
    const words = (method: string) =>
      fingerprint({
        model: t5,
        out: join(scratch, `t5-${method}`),
        method,
        maxHarm: Number.POSITIVE_INFINITY,
        dryRun: true,
      });
    for (const [method, why] of Object.entries(model!.refused))
      await expect(words(method)).rejects.toThrow(why);
    const config = join(t5, 'tokenizer_config.json');
    writeFileSync(config, JSON.stringify({ ...json(config), chat_template: '{{ messages[0].content }}' }));
    await expect(words('sft')).rejects.toMatchObject({ code: 'unsupported', fix: 'use template=vicuna' });
  },
  LONG,
);

test(
  'experts: all of them are counted',
  async () => {
    const config = {
      model_type: 'qwen3_moe',
      vocab_size: 5120,
      hidden_size: 512,
      num_hidden_layers: 2,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      head_dim: 64,
      intermediate_size: 256,
      moe_intermediate_size: 128,
      num_experts: 4,
      num_experts_per_tok: 2,
      max_position_embeddings: 512,
      tie_word_embeddings: false,
    };
    const { model } = await doctor({ model: empty('moe', config) });
    const attention = 512 * (2 * 512 + 2 * 128) + 2 * 64; // q, k, v, o; norms of heads
    const layer = attention + 2 * 512 + 4 * 512 + 4 * 3 * 512 * 128; // norms, router, experts
    expect(model!.parameters).toBe(2 * 5120 * 512 + 2 * layer + 512);
    expect(model).toMatchObject({ family: 'qwen3_moe', tied_head: false, dtype: 'bfloat16', refused: {} });
  },
  LONG,
);
