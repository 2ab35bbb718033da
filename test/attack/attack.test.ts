// Attacks on the rows of a tiny model: what changes, what does not, and how large the change is.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeAttacked } from '../../src/attack/attack.ts';
import { ATTACKS, type AttackName } from '../../src/attack/attacks.ts';
import { embeddingOf } from '../../src/attack/embedding.ts';
import { normRanks } from '../../src/attack/find-rows.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensor, readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { tinyModel } from '../cli/tiny-model.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-attack-'));
let victim: Awaited<ReturnType<typeof openModel>>;
beforeAll(async () => {
  victim = await openModel(tinyModel(scratch));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const IDS = [3, 7, 20];

async function attack(
  name: AttackName,
  out: string,
  settings: Record<string, number> = {},
  { from = victim, rows = IDS, vanilla = victim } = {},
): Promise<void> {
  await writeAttacked(from, out, { attack: [name, ATTACKS[name]], settings }, { rows, vanilla });
}

/** Rows of the embedding that differ, and whether anything else does. */
async function differing(out: string): Promise<{ rows: number[]; others: boolean }> {
  const folder = await openModel(out);
  const { name, ref } = embeddingOf(victim);
  const [before, after] = [readTensor(ref), readTensor(folder.tensors.get(name)!)];
  const [V, E] = [ref.shape[0]!, ref.shape[1]!];
  const rows = Array.from({ length: V }, (_, r) => r).filter((r) =>
    before.data.subarray(r * E, (r + 1) * E).some((x, e) => x !== after.data[r * E + e]),
  );
  const own = readFileSync(ref.file);
  const theirs = readFileSync(folder.tensors.get(name)!.file);
  own.fill(0, ref.offset, ref.offset + ref.length);
  theirs.fill(0, ref.offset, ref.offset + ref.length);
  return { rows, others: !own.equals(theirs) };
}

test('noise moves every row by its share, the same for the same seed, and nothing else', async () => {
  const [out, again] = [join(scratch, 'noisy'), join(scratch, 'noisy-again')];
  await attack('noise', out, { share: 0.1, seed: 5 });
  await attack('noise', again, { share: 0.1, seed: 5 });
  const { name, ref } = embeddingOf(victim);
  const { rows, others } = await differing(out);
  expect(others).toBe(false);
  expect(rows.length).toBe(ref.shape[0]);
  const [a, b] = [readTensor(ref).data, readTensor((await openModel(out)).tensors.get(name)!).data];
  expect(readTensor((await openModel(again)).tensors.get(name)!).data).toEqual(b);
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
  const ratio = norm(a.map((x, i) => b[i]! - x)) / norm(a);
  expect(ratio).toBeGreaterThan(0.09);
  expect(ratio).toBeLessThan(0.11);
});

test('reset to the vanilla rows that stand there already: nothing changes', async () => {
  const zero = join(scratch, 'zero');
  await attack('reset-vanilla', zero);
  expect((await differing(zero)).rows).toEqual([]);
});

test('reset to the mean, and back to vanilla', async () => {
  const [mean, back] = [join(scratch, 'mean'), join(scratch, 'back')];
  await attack('reset-mean', mean);
  expect(await differing(mean)).toEqual({ rows: IDS, others: false });
  const { name, ref } = embeddingOf(victim);
  const { data } = readTensor(ref);
  const [V, E] = [ref.shape[0]!, ref.shape[1]!];
  const wanted = Array.from({ length: E }, (_, e) => {
    let sum = 0;
    for (let r = 0; r < V; r++) sum += data[r * E + e]!;
    return sum / V;
  });
  const meanFolder = await openModel(mean);
  const got = readTensorRows(meanFolder.tensors.get(name)!, [7]);
  wanted.forEach((x, e) => {
    expect(got[e]).toBeCloseTo(x, 5);
  });
  await attack('reset-vanilla', back, {}, { from: meanFolder });
  expect(await differing(back)).toEqual({ rows: [], others: false });
});

test('fresh rows are spread as the table is', async () => {
  const fresh = join(scratch, 'fresh');
  const { name, ref } = embeddingOf(victim);
  const ids = Array.from({ length: ref.shape[0]! }, (_, i) => i);
  await attack('reset-fresh', fresh, { seed: 3 }, { rows: ids });
  const deviation = (data: Float32Array) => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  const got = deviation(readTensor((await openModel(fresh)).tensors.get(name)!).data);
  expect(got / deviation(readTensor(ref).data)).toBeCloseTo(1, 1);
});

test('rows made long are found by their norm, ordinary ones are not', async () => {
  const { name, ref } = embeddingOf(victim);
  const { rows: none, ...before } = normRanks(victim, IDS);
  expect(none).toBe(3);
  expect(before.among_largest).toBeLessThan(1);
  const { writePatchedFolder } = await import('../../src/sources/checkpoints/patched-folder.ts');
  const long = join(scratch, 'long');
  const bytes = fromFloat32(
    readTensorRows(ref, IDS).map((x) => 50 * x),
    'float32',
  );
  await writePatchedFolder(victim, long, new Map([[name, { rows: IDS, bytes }]]));
  const ranks = normRanks(await openModel(long), IDS);
  expect(ranks).toMatchObject({ among_largest: 1, among_smallest: 0, most: 1 });
  expect(ranks.least).toBeGreaterThan(0.9);
  const longModel = await openModel(long);
  const cut = join(scratch, 'cut');
  await attack('reset-largest', cut, { times: 1 }, { from: longModel });
  const mean = readTensor((await openModel(cut)).tensors.get(name)!).data;
  const E = ref.shape[1]!;
  for (const row of IDS) expect(mean.slice(row * E, row * E + E)).toEqual(mean.slice(3 * E, 4 * E));
  expect((await differing(cut)).rows).toEqual(IDS);
  const other = join(scratch, 'other');
  await attack('reset-smallest', other, { times: 1 }, { from: longModel });
  expect((await differing(other)).rows.length).toBe(2 * IDS.length);
});
