// Against gguf-py (values of blocks, bit for bit) and transformers (whole tiny models read from GGUF).
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { cacheFolder, openModel } from '../../src/models/open-model.ts';
import { digestFile } from '../../src/sources/checkpoints/digest.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { dequantize, type GgufType } from '../../src/sources/checkpoints/gguf-blocks.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { bfloat16Bits } from '../../src/tensor/convert.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const goldens = fileURLToPath(new URL('../../goldens/gguf/', import.meta.url));
const read = <T>(file: string) => JSON.parse(readFileSync(join(goldens, file), 'utf8')) as T;
const temporary = mkdtempSync(join(tmpdir(), 'whorl-gguf-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('dequantize', () => {
  const { blocks } = read<{ blocks: Record<GgufType, { bytes: string; values: string }> }>('blocks.json');
  it.each(Object.entries(blocks))('%s gives the bits of gguf.quants', (type, golden) => {
    const values = dequantize(type as GgufType, Buffer.from(golden.bytes, 'base64'));
    expect(bytesOf(values).toString('hex')).toBe(Buffer.from(golden.values, 'base64').toString('hex'));
  });
});

interface Golden {
  config: Record<string, unknown>;
  tensors: Record<string, { shape: number[]; sha256: string }>;
}

describe.each(['tied-gqa-q4_1', 'untied-mha-f16'])('%s', (name) => {
  const golden = read<Golden>(`${name}.json`);
  const path = join(goldens, `${name}.gguf`);
  it('opens as the model transformers makes of it', async () => {
    const model = await openModel(path, { cacheDir: temporary });
    expect(model.config).toMatchObject(golden.config);
    expect(model.gguf).toEqual({ path, sha256: digestFile(path) });
    expect([...model.tensors.keys()].sort()).toEqual(Object.keys(golden.tensors));
    for (const [tensor, { shape, sha256 }] of Object.entries(golden.tensors)) {
      const got = readTensor(model.tensors.get(tensor)!);
      expect(got.shape, tensor).toEqual(shape);
      expect(createHash('sha256').update(bytesOf(got.data)).digest('hex'), tensor).toBe(sha256);
    }
  });
});

it('a further end of text reaches the generation config and the tokenizer of the converted folder', async () => {
  const bytes = readFileSync(join(goldens, 'tied-gqa-q4_1.gguf'));
  const entry = (key: string, type: number, value: Buffer) => {
    const head = Buffer.alloc(8 + key.length + 4);
    head.writeBigUInt64LE(BigInt(key.length));
    head.write(key, 8);
    head.writeUInt32LE(type, 8 + key.length);
    return Buffer.concat([head, value]);
  };
  const id = Buffer.alloc(4);
  id.writeUInt32LE(5);
  const more = Buffer.concat([
    entry('tokenizer.ggml.eot_token_id', 4, id),
    entry(`general.${'x'.repeat(32)}`, 7, Buffer.of(0)), // fills up to a multiple of the tensors' alignment
  ]);
  expect(more.length % 32).toBe(0);
  const header = Buffer.from(bytes.subarray(0, 24));
  header.writeBigUInt64LE(header.readBigUInt64LE(16) + 2n, 16);
  const path = join(temporary, 'ends.gguf');
  writeFileSync(path, Buffer.concat([header, more, bytes.subarray(24)]));
  const { folder, config } = await openModel(path, { cacheDir: temporary });
  const generation = JSON.parse(readFileSync(join(folder, 'generation_config.json'), 'utf8')) as object;
  expect(generation).toEqual({ bos_token_id: 1, eos_token_id: [2, 5] });
  expect(config.eos_token_id).toBe(2);
  const { eosId, eosIds } = await openTokenizer(folder);
  expect([eosId, eosIds]).toEqual([2, [2, 5]]);
});

describe('the cache', () => {
  const path = join(goldens, 'tied-gqa-q4_1.gguf');
  it('converts once, leaves nothing half done, and opens the same folder again', async () => {
    const cacheDir = join(temporary, 'once');
    const phases: ProgressEvent[] = [];
    const onEvent = (event: ProgressEvent) => void (event.kind === 'phase' && phases.push(event));
    const first = await openModel(path, { cacheDir, onEvent });
    const inode = statSync(join(first.folder, 'model.safetensors')).ino;
    const again = await openModel(path, { cacheDir, onEvent });
    expect({ ...again, decoder: again.decoder.config }).toEqual({ ...first, decoder: first.decoder.config });
    expect(statSync(join(again.folder, 'model.safetensors')).ino).toBe(inode);
    expect(phases).toHaveLength(1);
    expect(readdirSync(join(cacheDir, 'gguf'))).toHaveLength(1);
    expect(readdirSync(first.folder)).toEqual(expect.arrayContaining(['config.json', 'tokenizer.json']));
  });

  it('keeps a dtype beside another and rounds to the nearest', async () => {
    const cacheDir = join(temporary, 'dtypes');
    const full = await openModel(path, { cacheDir });
    const half = await openModel(path, { cacheDir, dtype: 'bfloat16' });
    expect(half.folder).not.toBe(full.folder);
    expect(half.config.torch_dtype).toBe('bfloat16');
    const name = 'model.layers.1.self_attn.k_proj.weight';
    expect(half.tensors.get(name)!.dtype).toBe('bfloat16');
    const [a, b] = [readTensor(full.tensors.get(name)!).data, readTensor(half.tensors.get(name)!).data];
    expect(Array.from(b, bfloat16Bits)).toEqual(Array.from(a, bfloat16Bits));
  });

  it('leaves nothing behind when a file turns out wrong', async () => {
    const cacheDir = join(temporary, 'wrong');
    const bytes = readFileSync(path);
    const at = bytes.indexOf('attn_q.weight');
    bytes.write('attn_Q.weight', at);
    writeFileSync(join(temporary, 'wrong.gguf'), bytes);
    await expect(openModel(join(temporary, 'wrong.gguf'), { cacheDir })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('blk.0.attn_Q.weight') as string,
    });
    expect(() => readdirSync(join(cacheDir, 'gguf'))).toThrow('ENOENT');
  });

  it('names a key that would change the mathematics', async () => {
    const bytes = readFileSync(path);
    const key = 'llama.rope.dimension_count';
    bytes.write('llama.rope.dimension_cOunt', bytes.indexOf(key));
    writeFileSync(join(temporary, 'key.gguf'), bytes);
    await expect(openModel(join(temporary, 'key.gguf'), { cacheDir: temporary })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('llama.rope.dimension_cOunt') as string,
    });
  });

  it('names an architecture it does not read', async () => {
    const bytes = readFileSync(path);
    const at = bytes.indexOf('general.architecture') + 'general.architecture'.length + 12;
    bytes.write('qwenx', at);
    writeFileSync(join(temporary, 'arch.gguf'), bytes);
    await expect(openModel(join(temporary, 'arch.gguf'), { cacheDir: temporary })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('"qwenx"') as string,
    });
  });

  it('lies where WHORL_CACHE says', () => {
    expect(cacheFolder({ WHORL_CACHE: '/somewhere' })).toBe('/somewhere');
    expect(cacheFolder({ XDG_CACHE_HOME: '/cache' })).toBe(join('/cache', 'whorl'));
  });
});

it('keeps numbers beyond 2^53 and names no key of Object.prototype', () => {
  const { metadata } = readGguf(join(goldens, '../bad-files/gguf/good-proto-key.gguf'));
  expect([...metadata]).toEqual([['__proto__', 'x']]);
});
