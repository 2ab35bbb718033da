// Models that cannot be read, named on the command line: one line that names the file, exit code 1.

import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
let folder: string;
beforeAll(() => void (folder = scratch()));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** How each is made, and what its line must say. */
const MODELS: Readonly<Record<string, { make: () => string; says: readonly string[] }>> = {
  'a truncated shard': {
    make: () => {
      const path = join(folder, 'sharded');
      cpSync(join(goldens, 'models/llama-sharded'), path, { recursive: true });
      truncateSync(join(path, 'model-00002-of-00004.safetensors'), 9000);
      return path;
    },
    says: ['model-00002-of-00004.safetensors', 'truncated'],
  },
  'a missing shard': {
    make: () => {
      const path = join(folder, 'missing');
      cpSync(join(goldens, 'models/llama-sharded'), path, { recursive: true });
      rmSync(join(path, 'model-00003-of-00004.safetensors'));
      return path;
    },
    says: ['model-00003-of-00004.safetensors', 'download'],
  },
  'RoPE scaling that is not handled': {
    make: () => {
      const path = tinyModel(folder);
      const file = join(path, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      delete config.rope_parameters;
      writeFileSync(file, JSON.stringify({ ...config, rope_scaling: { type: 'mrope', factor: 4 } }));
      return path;
    },
    says: ['config.json', '"mrope"', 'linear, dynamic, llama3, yarn, longrope'],
  },
  'a GGUF type outside the list': {
    make: () => join(goldens, 'bad-files/gguf/type-iq4-xs.gguf'),
    says: ['type-iq4-xs.gguf', 'tensor "w"', 'IQ4_XS', 'Q4_K'],
  },
  'a truncated GGUF': {
    make: () => {
      const path = join(folder, 'truncated.gguf');
      writeFileSync(path, readFileSync(join(goldens, 'gguf/type-q4_k.gguf')).subarray(0, 30_000));
      return path;
    },
    says: ['truncated.gguf', 'truncated'],
  },
  'GGUF version 1': {
    make: () => join(goldens, 'bad-files/gguf/version-1.gguf'),
    says: ['version-1.gguf', 'version 1', 'versions 2 and 3'],
  },
  'a big-endian GGUF': {
    make: () => join(goldens, 'bad-files/gguf/big-endian.gguf'),
    says: ['big-endian.gguf', 'big-endian', 'gguf-convert-endian'],
  },
};

test.each(Object.keys(MODELS))('%s', async (name) => {
  const { make, says } = MODELS[name]!;
  const path = make();
  const { code, out, err } = await whorl('generate', '--model', path, '--prompt', 'a', '--json');
  expect({ code, out }).toEqual({ code: 1, out: '' });
  const errors = err.split('\n').filter((line) => line.startsWith('error:'));
  expect(errors).toHaveLength(1);
  expect(err.trimEnd().split('\n').at(-1)).toBe(errors[0]);
  for (const part of says) expect(errors[0]).toContain(part);
});
