// A tied head that is stored: opened as transformers opens it (goldens/tied), and whatever writes a model folder changes
// both places alike, so that the folder stays the model that was measured.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { writeAttacked } from '../../src/attack/attack.ts';
import { ATTACKS } from '../../src/attack/attacks.ts';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import { bindModel } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { writePatchedFolder } from '../../src/sources/checkpoints/patched-folder.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32, toFloat32 } from '../../src/tensor/convert.ts';
import type { FloatDtype } from '../../src/tensor/tensor.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../goldens/tied/golden.json', import.meta.url), 'utf8'),
) as { ids: number[]; ways: Record<string, { tied: boolean; logits: number[] }> };
const [EMBEDDING, HEAD] = ['model.embed_tokens.weight', 'lm_head.weight'];

let root: string;
let plain: string;
beforeAll(() => {
  root = scratch();
  plain = tinyModel(root);
});
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

interface Stored {
  name: string;
  dtype: FloatDtype;
  shape: readonly number[];
  data: Float32Array;
}

const stored = (): Stored[] =>
  [...readSafetensorsHeader(join(plain, 'model.safetensors')).tensors].map(([name, ref]) => ({
    name,
    dtype: 'float32',
    ...readTensor(ref),
  }));

const write = (path: string, entries: readonly Stored[]) =>
  writeFileSync(
    path,
    safetensorsBytes(entries.map((entry) => ({ ...entry, bytes: fromFloat32(entry.data, entry.dtype) }))),
  );

/** A copy of the tiny model whose tensors are `change`d; in one file, or the head in a shard of its own. */
function made(name: string, change: (tensors: Stored[], table: Stored) => Stored[], shards = false): string {
  const folder = join(root, name);
  mkdirSync(folder);
  for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(plain, file), join(folder, file));
  const tensors = stored();
  const all = change(tensors, tensors.find(({ name }) => name === EMBEDDING)!);
  if (!shards) {
    write(join(folder, 'model.safetensors'), all);
    return folder;
  }
  const shardOf = ({ name }: Stored) => (name === HEAD ? 'b.safetensors' : 'a.safetensors');
  for (const shard of ['a.safetensors', 'b.safetensors'])
    write(
      join(folder, shard),
      all.filter((entry) => shardOf(entry) === shard),
    );
  const weight_map = Object.fromEntries(all.map((entry) => [entry.name, shardOf(entry)]));
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
  return folder;
}

const both = (tensors: Stored[], table: Stored): Stored[] => [...tensors, { ...table, name: HEAD }];
const times = (factor: number) => (tensors: Stored[], table: Stored) => [
  ...tensors,
  { ...table, name: HEAD, data: table.data.map((x, i) => (i === table.data.length - 1 ? x * factor : x)) },
];

async function logits(folder: string): Promise<number[]> {
  const model = bindModel(await openModel(folder));
  const encoder = new Encoder(model, undefined, cpu);
  const last = golden.ids.length - 1;
  const labels = Array.from({ length: 96 }, (_, v) => v);
  const [got] = await encoder.labels([{ tokens: golden.ids, wanted: labels.map(() => last), labels }]);
  await encoder.release();
  return [...got!.logprobs];
}

function logprobs(values: readonly number[]): number[] {
  const top = Math.max(...values);
  const sum = Math.log(values.reduce((all, x) => all + Math.exp(x - top), 0)) + top;
  return values.map((x) => x - sum);
}

/** Both places as they lie in the files. */
function places(folder: string): Float32Array[] {
  const { tensors } = openCheckpoint(folder);
  return [EMBEDDING!, HEAD!].map((name) => readTensor(tensors.get(name)!).data);
}

describe('opened as transformers opens it', () => {
  test.each<[string, (tensors: Stored[], table: Stored) => Stored[]]>([
    ['embedding', (tensors) => tensors],
    ['both', both],
    ['head', (tensors) => tensors.map((t) => (t.name === EMBEDDING ? { ...t, name: HEAD! } : t))],
  ])('%s stored', async (way, change) => {
    expect(golden.ways[way]!.tied).toBe(true);
    const got = await logits(made(`open ${way}`, change));
    logprobs(golden.ways[way]!.logits).forEach((x, v) => expect(got[v]).toBeCloseTo(x, 4));
  });

  test('other values: refused, both named, with what either version makes of it', async () => {
    expect(golden.ways['one other value']!.tied).toBe(false);
    await expect(openModel(made('other', times(1.5)))).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(
        /other.*lm_head\.weight.*model\.embed_tokens\.weight.*"tie_word_embeddings": false/,
      ) as string,
    });
  });

  test('0 and −0 are equal, and so are equal numbers of other dtypes', async () => {
    const zero = (tensors: Stored[], table: Stored) => {
      table.data.fill(0, 0, 32);
      return [...tensors, { ...table, name: HEAD!, data: table.data.map((x, i) => (i < 32 ? -0 : x)) }];
    };
    expect((await openModel(made('zero', zero))).tensors.has(HEAD!)).toBe(false);
    const half = (tensors: Stored[], table: Stored) => {
      table.data.set(toFloat32(fromFloat32(table.data, 'bfloat16'), 'bfloat16'));
      return [...tensors, { ...table, name: HEAD!, dtype: 'bfloat16' as const }];
    };
    expect((await openModel(made('half', half))).tensors.has(HEAD!)).toBe(false);
  });

  test('an untied config keeps both', async () => {
    const folder = made('untied', times(3));
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...config, tie_word_embeddings: false }));
    expect((await openModel(folder)).tensors.has(HEAD!)).toBe(true);
  });
});

describe.each([
  ['one file', false],
  ['two shards', true],
])('written alike, %s', (name, shards) => {
  let folder: string;
  beforeAll(() => void (folder = made(`written ${name}`, both, shards)));

  test('rows of a published folder', async () => {
    const opened = await openModel(folder);
    const out = join(root, `patched ${name}`);
    const bytes = fromFloat32(new Float32Array(64).fill(7), 'float32');
    await writePatchedFolder(opened, out, new Map([[EMBEDDING!, { rows: [3, 9], bytes }]]));
    const [embedding, head] = places(out);
    expect(head).toEqual(embedding);
    expect([...head!.subarray(3 * 32, 4 * 32), ...head!.subarray(9 * 32, 10 * 32)]).toEqual(
      Array(64).fill(7),
    );
    expect(head!.filter((x, i) => x !== places(folder)[0]![i]).length).toBe(64);
  });

  test('an attack', async () => {
    const out = join(root, `noisy ${name}`);
    const settings = { share: 0.1, seed: 1 };
    await writeAttacked(
      await openModel(folder),
      out,
      { attack: ['noise', ATTACKS.noise], settings },
      { rows: [] },
    );
    const [embedding, head] = places(out);
    expect(head).toEqual(embedding);
    expect(head).not.toEqual(places(folder)[0]);
  });

  test('fine-tuning: both are what it makes of the same model stored once', {
    timeout: 240_000,
  }, async () => {
    const data = join(root, 'rows.json');
    writeFileSync(data, JSON.stringify([{ instruction: 'Say', input: '', output: 'it' }]));
    const template = join(root, 'short.json');
    writeFileSync(
      template,
      JSON.stringify({ prompt_input: '{instruction}{input}:', prompt_no_input: '{instruction}:' }),
    );
    const [out, once] = [join(root, `tuned ${name}`), join(root, `once ${name}`)];
    const run = (model: string, to: string) =>
      whorl(
        'finetune',
        '--model',
        model,
        '--data',
        data,
        '--out',
        to,
        '--json',
        `template=${template}`,
        'lr=1e-2',
      );
    expect(await run(folder, out)).toMatchObject({ code: 0 });
    expect(await run(plain, once)).toMatchObject({ code: 0 });
    const [embedding, head] = places(out);
    expect(head).toEqual(embedding);
    expect(embedding).toEqual(readTensor(openCheckpoint(once).tensors.get(EMBEDDING!)!).data);
    expect(head).not.toEqual(places(folder)[0]);
  });
});
