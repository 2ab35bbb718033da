// A tiny LLaMA of every tensor type, and of every option as llama.cpp writes it: logits against transformers
// (goldens/gguf/make.py).

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import { llama3From, ropeOut } from '../../src/models/gguf-rope.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { BLOCKS } from '../../src/sources/checkpoints/gguf-blocks.ts';

const goldens = fileURLToPath(new URL('../../goldens/gguf/', import.meta.url));
const read = <T>(file: string) => JSON.parse(readFileSync(join(goldens, file), 'utf8')) as T;
const temporary = mkdtempSync(join(tmpdir(), 'whorl-types-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const floats = (base64: string) => new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);

interface Golden {
  prompt: number[];
  vocab: number;
  logits: string;
  config?: { rope: Record<string, number | string>; attention_bias: boolean; mlp_bias: boolean };
}

/** Largest difference of log-probabilities over every position and entry, by the largest of them. */
async function worst(path: string, { prompt, vocab, logits }: Golden): Promise<number> {
  const model = await openModel(path, { cacheDir: temporary });
  const encoder = new Encoder(model, undefined, cpu);
  const entries = Array.from({ length: vocab }, (_, v) => v);
  const [got] = await encoder.labels([
    {
      tokens: prompt,
      wanted: prompt.flatMap((_, row) => entries.map(() => row)),
      labels: prompt.flatMap(() => entries),
    },
  ]);
  await encoder.release();
  const expected = prompt.flatMap((_, row) => {
    const values = [...floats(logits).subarray(row * vocab, (row + 1) * vocab)];
    const top = Math.max(...values);
    const total = top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
    return values.map((v) => v - total);
  });
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((v, i) => Math.abs(v - got!.logprobs[i]!))) / scale;
}

const named = (start: string) =>
  readdirSync(goldens)
    .filter((file) => file.startsWith(start) && file.endsWith('.gguf'))
    .map((file) => file.slice(0, -5));

describe('a file of each type', () => {
  it('is there', () => {
    expect(named('type-').sort()).toEqual(
      Object.keys(BLOCKS)
        .map((type) => `type-${type.toLowerCase()}`)
        .sort(),
    );
  });

  it.each(named('type-'))('%s gives the logits of transformers', async (name) => {
    const path = join(goldens, `${name}.gguf`);
    const types = [...readGguf(path).tensors.values()].map(({ type }) => type.toLowerCase());
    expect(types.filter((type) => type === name.slice(5)).length).toBeGreaterThan(3);
    expect(await worst(path, read(`${name}.json`))).toBeLessThan(1e-4);
  });

  it('reads the same from version 2', async () => {
    const bytes = readFileSync(join(goldens, 'type-q4_k.gguf'));
    bytes.writeUInt32LE(2, 4);
    writeFileSync(join(temporary, 'v2.gguf'), bytes);
    expect(await worst(join(temporary, 'v2.gguf'), read('type-q4_k.json'))).toBeLessThan(1e-4);
  });
});

describe('options of the family', () => {
  it.each(named('options-'))('%s gives config and logits of transformers', async (name) => {
    const golden = read<Golden>(`${name}.json`);
    const path = join(goldens, `${name}.gguf`);
    const { config } = await openModel(path, { cacheDir: temporary });
    const { rope, attention_bias, mlp_bias } = golden.config!;
    const { rope_theta, ...scaling } = rope;
    expect(config).toMatchObject({ rope_theta, attention_bias, mlp_bias });
    expect(config.rope_scaling).toEqual(scaling.rope_type === 'default' ? null : scaling);
    expect(await worst(path, golden)).toBeLessThan(1e-4);
  });

  const bias = join(goldens, 'options-bias-llama3.gguf');
  /** The file with the bytes of one name replaced by others of the same length. */
  function renamed(from: string, to: string): string {
    const bytes = readFileSync(bias);
    bytes.write(to, bytes.indexOf(from));
    const path = join(temporary, `${to.replaceAll('/', '-')}.gguf`);
    writeFileSync(path, bytes);
    return path;
  }

  it('refuses biases that no config knows, by name', async () => {
    await expect(
      openModel(renamed('blk.0.attn_k.bias', 'blk.0.attn_x.bias'), { cacheDir: temporary }),
    ).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('attn_k.bias') as string,
    });
  });

  it('refuses another scaling than none and linear, by name', async () => {
    const bytes = readFileSync(join(goldens, 'options-linear.gguf'));
    const key = 'llama.rope.scaling.type';
    const at = bytes.indexOf(key) + key.length + 12;
    expect(bytes.toString('latin1', at, at + 6)).toBe('linear');
    bytes.write('yarn\0\0', at);
    bytes.write('longro', at);
    writeFileSync(join(temporary, 'scaling.gguf'), bytes);
    await expect(openModel(join(temporary, 'scaling.gguf'), { cacheDir: temporary })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('"longro"') as string,
    });
  });

  it('refuses frequencies that are not llama3’s', async () => {
    const bytes = readFileSync(bias);
    const tensor = readGguf(bias).tensors.get('rope_freqs.weight')!;
    bytes.writeFloatLE(7.5, tensor.offset + 4);
    writeFileSync(join(temporary, 'freqs.gguf'), bytes);
    await expect(openModel(join(temporary, 'freqs.gguf'), { cacheDir: temporary })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('rope_freqs.weight') as string,
    });
  });
});

interface FactorCase {
  name: string;
  head_dim: number;
  rope: { rope_theta: number } & Record<string, number>;
  factors: string;
}
it.each(read<{ cases: FactorCase[] }>('rope-factors.json').cases)(
  'the four numbers of llama3 are found again in rope_freqs.weight: $name',
  ({ head_dim, rope, factors }) => {
    const { rope_theta, ...numbers } = rope;
    expect(llama3From(floats(factors), { rope_theta, head_dim })).toEqual({
      rope_type: 'llama3',
      ...numbers,
    });
  },
);

it.each(read<{ cases: FactorCase[] }>('rope-factors.json').cases)(
  'the factors of llama3 are those of llama.cpp’s converter: $name',
  ({ head_dim, rope: { rope_theta, ...numbers }, factors }) => {
    const rope_scaling = { rope_type: 'llama3' as const, ...(numbers as unknown as Numbers) };
    const rope = {
      dim: head_dim,
      interleaved: false,
      rope_theta,
      rope_scaling,
      max_position_embeddings: 131_072,
    };
    const [ours, theirs] = [ropeOut(rope, false)!.tensors![0]![1], floats(factors)];
    expect(ours.length).toBe(theirs.length);
    for (const [i, factor] of theirs.entries()) expect(Math.abs(ours[i]! / factor - 1)).toBeLessThan(1e-6);
  },
);

type Numbers = Record<
  'factor' | 'low_freq_factor' | 'high_freq_factor' | 'original_max_position_embeddings',
  number
>;
