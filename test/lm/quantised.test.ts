// Linear layers in 8 and 4 bits: what is packed is near what was there, the model computes what float32 makes of the packed
// numbers, and a sequence's results are the same bits alone or in any batch.

import { cpSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { PACKINGS, type Packing, packedBlocks, type QuantisedPrecision } from '../../src/engine/packing.ts';
import { cpu } from '../../src/engine/session.ts';
import { openDevice } from '../../src/engine/session-device.ts';
import { openLanguageModel } from '../../src/lm/open.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Model } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { packRows } from '../../src/models/quantise-rows.ts';
import { quantisable, quantisedModel } from '../../src/models/quantised-model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const golden = (name: string) => join(root, 'goldens/models', name);
const embedded = join(root, 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-quantised-'));
const cacheDir = join(scratch, 'cache');
afterAll(() => rmSync(scratch, { recursive: true }));
const KINDS = Object.keys(PACKINGS) as QuantisedPrecision[];

/** The values that packed rows stand for: (q − 2^(bits − 1)) · scale. */
function unpacked(rows: ReturnType<typeof packRows>, width: number, packing: Packing): Float32Array {
  const { bits, block } = packing;
  const blocks = packedBlocks(packing, width);
  const scales = new Float32Array(rows.scales.buffer);
  const count = scales.length / blocks;
  return Float32Array.from({ length: count * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    const place = (row * blocks + Math.floor(column / block)) * block + (column % block);
    const byte = rows.packed[(place * bits) / 8 - (((place * bits) / 8) % 1)]!;
    const q = bits === 8 ? byte : place % 2 === 0 ? byte & 15 : byte >> 4;
    return (q - 2 ** (bits - 1)) * scales[row * blocks + Math.floor(column / block)]!;
  });
}

describe.each(KINDS)('rows in %s', (kind) => {
  const packing = PACKINGS[kind];
  const width = packing.block + 24; // the last block is filled up
  const values = Float32Array.from({ length: 3 * width }, (_, i) => Math.sin(i * i * 0.37) * (i % 7) ** 2);
  values.fill(0, width, 2 * width);

  it('are off by half a step at most, and exact at zero and at the furthest', () => {
    const packed = packRows(values, width, packing);
    const scales = new Float32Array(packed.scales.buffer);
    const back = unpacked(packed, width, packing);
    const blocks = packedBlocks(packing, width);
    for (const [at, value] of values.entries()) {
      const step = Math.abs(
        scales[Math.floor(at / width) * blocks + Math.floor((at % width) / packing.block)]!,
      );
      // One step more on the side that the furthest element is not on, where the range ends a step earlier.
      expect(Math.abs(back[at]! - value)).toBeLessThanOrEqual(
        step * (Math.abs(value) > step * (2 ** (packing.bits - 1) - 1) ? 1 : 0.5) * 1.001,
      );
      if (value === 0) expect(back[at]! + 0).toBe(0);
    }
    const furthest = values
      .subarray(0, packing.block)
      .reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    const place = values.indexOf(furthest);
    expect(Math.abs(back[place]! / furthest - 1)).toBeLessThan(1e-6);
    expect(new Set(back.subarray(0, width)).size).toBeGreaterThan(packing.bits);
  });
});

/** The folder with the packed numbers' own values in place of its matrices. */
async function rounded(model: Model, packing: Packing): Promise<Model> {
  const folder = mkdtempSync(join(scratch, 'rounded-'));
  cpSync(model.folder, folder, { recursive: true });
  for (const file of readdirSync(folder).filter((name) => name.includes('safetensors')))
    rmSync(join(folder, file));
  const names = quantisable(model.decoder);
  const entries = [...model.tensors].map(([name, { shape }]) => ({ name, shape, dtype: 'float32' as const }));
  await writeSafetensors(join(folder, 'model.safetensors'), entries, function* ({ name, shape }) {
    const { data } = readTensor(model.tensors.get(name)!);
    if (!names.has(name)) return yield fromFloat32(data, 'float32');
    const turned = model.decoder.transposed?.(name) ?? false;
    const [rows, columns] = shape as readonly [number, number];
    const turn = (x: Float32Array, height: number, width: number) =>
      Float32Array.from(x, (_, i) => x[(i % height) * width + Math.floor(i / height)]!);
    const matrix = turned ? turn(data, rows, columns) : data;
    const width = turned ? rows : columns;
    const back = unpacked(packRows(matrix, width, packing), width, packing);
    yield fromFloat32(turned ? turn(back, columns, rows) : back, 'float32');
  });
  return openModel(folder);
}

const PROMPT = [1, 5, 9, 3, 12, 7, 20, 4];
const labelled = (tokens: readonly number[]) => ({
  tokens,
  wanted: tokens.flatMap((_, row) => [row, row, row]),
  labels: tokens.flatMap(() => [2, 6, 11]),
});

// Fused matrices, ones that lie [in, out], experts of which some are three-dimensional, a source, biases.
describe.each(['llama-gqa-tied-bf16', 'gpt2', 'phi3-4k', 'gpt_neox-parallel', 'mixtral', 'gemma3'])(
  '%s',
  (name) => {
    it.each(KINDS)('in %s computes what float32 makes of the packed numbers', async (kind) => {
      const model = await openModel(golden(name));
      const weights = await quantisedModel(model, kind, PACKINGS[kind], { cacheDir });
      expect(weights.quantised!.size).toBe(quantisable(model.decoder).size);
      expect(weights.quantised!.size).toBeGreaterThan(3);
      const encoders = [weights, await rounded(model, PACKINGS[kind]), model].map(
        (of, i) => new Encoder(of, undefined, i === 0 ? { ...cpu, precision: kind } : cpu),
      );
      const [ours, expected, before] = await Promise.all(
        encoders.map(async (encoder) => [...(await encoder.labels([labelled(PROMPT)]))[0]!.logprobs]),
      );
      const scale = Math.max(...expected!.map(Math.abs));
      const off = (a: number[], b: number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / scale;
      expect(off(ours!, expected!)).toBeLessThan(1e-5);
      expect(off(ours!, before!)).toBeGreaterThan(1e-5); // they are other weights
      for (const encoder of encoders) await encoder.release();
    });
  },
);

describe('in any batch', () => {
  const texts = ['The', 'In the beginning', 'a', 'One two three four five six seven eight', 'x y', 'The end'];

  it.each(KINDS)('texts and scores in %s are the same bits', async (kind) => {
    const model = await openLanguageModel({ kind: 'model', model: embedded }, { precision: kind, cacheDir });
    const texted = async (prompts: readonly string[]) => {
      const out: string[] = [];
      const requests = prompts.map((prompt) => ({ prompt, max_new_tokens: 12 }));
      for await (const { index, generation } of model.generate(requests)) out[index] = generation.generated;
      return out;
    };
    const scored = async (contexts: readonly string[]) => {
      const out: number[] = [];
      const requests = contexts.map((context) => ({ context, continuation: ' and then some' }));
      for await (const { index, score } of model.score(requests)) out[index] = score.logprob;
      return out;
    };
    const [together, scores] = [await texted(texts), await scored(texts)];
    for (const [i, text] of texts.entries()) {
      expect(await texted([text])).toEqual([together[i]]);
      expect(await scored([text])).toEqual([scores[i]]);
    }
    expect(await texted([...texts].reverse())).toEqual([...together].reverse());
    expect(new Set(scores).size).toBe(texts.length);
    await model.release();
  });
});

it('is made once, and by content', async () => {
  const model = await openModel(golden('llama-gqa'));
  const said: string[] = [];
  const make = () =>
    quantisedModel(model, 'int4', PACKINGS.int4, {
      cacheDir: join(scratch, 'once'),
      onEvent: (event) => event.kind === 'phase' && said.push(event.name),
    });
  const [first, second] = [await make(), await make()];
  expect(said).toEqual(['quantising']);
  expect(second.weightsFolder).toBe(first.weightsFolder);
  expect(readdirSync(join(scratch, 'once/quantised')).length).toBe(1);
});

it('weights that change meanwhile leave no folder under the digest of the old ones', async () => {
  const folder = join(scratch, 'changing');
  cpSync(golden('llama-gqa'), folder, { recursive: true });
  const model = await openModel(folder);
  const made = quantisedModel(model, 'int8', PACKINGS.int8, {
    cacheDir: join(scratch, 'changed'),
    onEvent: (event) => event.kind === 'phase' && utimesSync(join(folder, 'model.safetensors'), 1, 1),
  });
  await expect(made).rejects.toMatchObject({ code: 'changed' });
  expect(readdirSync(join(scratch, 'changed/quantised'))).toEqual([]);
});

it('is refused where a model is trained or measured', async () => {
  await expect(openDevice({ precision: 'int8' })).rejects.toMatchObject({ code: 'usage' });
  await expect(openDevice({ device: { provider: 'cpu', precision: 'int4' } })).rejects.toMatchObject({
    code: 'usage',
  });
});
