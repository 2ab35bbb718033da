// The stamp beside keys: what is planned for a model of every family, how it is written into trained weights and into a
// body that stays, and that both are what a reader finds. Whole runs: test/methods-fire.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeFolderAtomic } from '../../src/base/atomic.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { drawStamp, type StampPlan } from '../../src/claim/stamp.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { checkBeside, planBeside } from '../../src/fingerprint/stamp-plan.ts';
import { stampEdit, writeStamped } from '../../src/fingerprint/stamped.ts';
import { openModel } from '../../src/models/open-model.ts';
import { floatDtype, readTensor } from '../../src/sources/checkpoints/read.ts';
import { fromFloat32, toFloat32 } from '../../src/tensor/convert.ts';
import { bindTrains } from '../../src/train/trains.ts';
import { writeModel } from '../../src/train/write-model.ts';
import { readStamp } from '../../src/verify/stamp.ts';
import { stampWarnings } from '../../src/verify/warnings.ts';
import { goldens } from '../train/tiny.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-beside-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const folderOf = (name: string): string => join(goldens, 'models', name);
const drawn = (plan: StampPlan) => drawStamp(plan, '1'.repeat(64), '2'.repeat(64), null);
const numbers = (values: Float32Array): number[] => [...values];

const FAMILIES = [
  'bloom',
  'falcon-7b',
  'gpt2',
  'gpt2-bare-names-by-layer',
  'gpt_neox-parallel',
  'gptj',
  'llama-gqa-f16',
  'llama-gqa-tied-bf16',
  'llama-sharded',
  'mixtral',
  'opt',
  'phi3-4k',
  'qwen2_moe',
  't5',
];

describe.each(FAMILIES)('%s', (name) => {
  test('the matrices of its MLPs are stamped, nothing else; trained or not, the same bytes', async () => {
    const model = await openModel(folderOf(name));
    const plan = planBeside({ stamp: 'mlp', epsilon: 0.25 }, model)!;
    const stamp = drawn(plan);
    const [streamed, written] = [join(scratch, `${name}-streamed`), join(scratch, `${name}-written`)];
    await writeStamped(model, streamed, stamp);
    // A training that trains everything and has taken no step.
    const trained = bindTrains({ kind: 'tensors', names: ['*'] }, model);
    await writeFolderAtomic(written, (out) =>
      writeModel(model, { trained }, trained.start(0n), out, 1, stampEdit(stamp, model.decoder)),
    );
    const [a, b] = [await openModel(streamed), await openModel(written)];
    const edit = stampEdit(stamp, model.decoder);
    let stamped = 0;
    for (const [tensor, ref] of model.tensors) {
      const [before, one, two] = [ref, a.tensors.get(tensor)!, b.tensors.get(tensor)!].map((x) =>
        numbers(readTensor(x).data),
      );
      expect(two, tensor).toEqual(one);
      if (edit.names.has(tensor)) stamped++;
      else expect(one, tensor).toEqual(before);
    }
    expect(stamped).toBe(plan.matrices.length);
    expect(plan.matrices.length).toBeGreaterThanOrEqual(2 * model.decoder.config.num_hidden_layers);
    expect((await readStamp(stamp, a, model)).z).toBeGreaterThan(20);
    expect((await readStamp(stamp, model, model)).z).toBe(0);
    expect(readdirSync(streamed).sort()).toEqual(readdirSync(written).sort());
  });
});

test('weights beyond all measure count for nothing read alone, and are undone against vanilla: sums that a certificate can hold', async () => {
  const model = await openModel(folderOf('llama-gqa-tied-bf16'));
  const plan = planBeside({ stamp: 'mlp', epsilon: 0.25 }, model)!;
  const stamp = drawn(plan);
  const out = join(scratch, 'huge');
  await writeStamped(model, out, stamp);
  const file = join(out, 'model.safetensors');
  const { name } = plan.matrices[0]!;
  const { offset, length } = (await openModel(out)).tensors.get(name)!;
  const bytes = readFileSync(file);
  const values = toFloat32(bytes.subarray(offset, offset + length), 'bfloat16').map((x) => x * 1e12);
  bytes.set(fromFloat32(values, 'bfloat16'), offset);
  writeFileSync(file, bytes);
  const suspect = await openModel(out);
  const alone = await readStamp(stamp, suspect, undefined);
  expect(alone.not_read).toEqual([name]);
  expect(alone.matrices).toHaveLength(plan.matrices.length - 1);
  expect(Number.isFinite(alone.z)).toBe(true);
  const against = await readStamp(stamp, suspect, model);
  expect(against).toMatchObject({ not_read: [], rescaled: [name], unlike: [] });
  expect(against.z).toBeGreaterThan(20);
  expect(stampWarnings(against)).toEqual([expect.stringMatching(/^Rows or columns of 1 of/)]);
});

test('trained numbers and the stamp are added before they are rounded once', async () => {
  const model = await openModel(folderOf('llama-gqa-tied-bf16'));
  const plan = planBeside({ stamp: 'mlp', epsilon: 0.01 }, model)!;
  const stamp = drawn(plan);
  const [name, ref] = [...model.tensors].find(([tensor]) => tensor === plan.matrices[0]!.name)!;
  const values = readTensor(ref).data.map((x) => x * 1.001);
  const { edited } = stampEdit(stamp, model.decoder);
  const out = edited(name, values, floatDtype(ref));
  const once = toFloat32(fromFloat32(out, 'bfloat16'), 'bfloat16');
  const twice = toFloat32(
    fromFloat32(edited(name, toFloat32(fromFloat32(values, 'bfloat16'), 'bfloat16'), 'bfloat16'), 'bfloat16'),
    'bfloat16',
  );
  expect(numbers(once)).not.toEqual(numbers(twice));
  // What was added is as large as the plan says.
  const mean = out.reduce((sum, x, i) => sum + (x - values[i]!) ** 2, 0) / out.length;
  expect(Math.sqrt(mean) / plan.matrices[0]!.scale).toBeCloseTo(1, 1);
});

test('off means none; what is no part of this model is refused before anything is written', async () => {
  const model = await openModel(folderOf('llama-tied'));
  expect(planBeside({ stamp: 'off', epsilon: 0.001 }, model)).toBeUndefined();
  expect(planBeside({}, model)).toBeUndefined();
  expect(() => checkBeside({ stamp: 'on' }, model)).toThrow(/stamp=on is no part of a model/);
  expect(() => checkBeside({ stamp: 'model.norm.weight' }, model)).toThrow(
    /stamp=model.norm.weight has no matrix/,
  );
});

test.each([
  ['rows', { stamp: 'on' }, /^stamp=on is no part of a model/],
  ['stamp', { part: 'on' }, /^part=on is no part of a model/],
  ['stamp', { part: 'model.norm.weight' }, /^part=model.norm.weight has no matrix/],
])('a run of %s with %j is refused before it begins, and by its plan', async (method, settings, says) => {
  const out = join(scratch, 'refused');
  const model = join(packageRoot(), 'assets/embedded/model');
  const asked = { model, out, method, settings, maxHarm: Number.POSITIVE_INFINITY };
  await expect(fingerprint({ ...asked, dryRun: true })).rejects.toThrow(says);
  await expect(fingerprint(asked)).rejects.toThrow(says);
  expect(existsSync(out)).toBe(false);
});
