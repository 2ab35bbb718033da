// LoRA adapters against PEFT (goldens/peft): merging what PEFT saved, its training steps, and the way back.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mergeAdapter } from '../../src/models/merge-adapter.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { readPeftAdapter } from '../../src/sources/checkpoints/peft.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { stateFromPeft, writePeftAdapter } from '../../src/train/peft.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { lowRank } from '../../src/train/trains.ts';
import { goldens, load } from './tiny.ts';

interface OfEmbeddings {
  adapters: Record<string, { model: string; changed: string[] }>;
  training: Golden['training'] & { model: string };
}

interface Golden {
  model: string;
  adapters: Record<string, { changed: string[] }>;
  training: { lr: number; clip: number; batches: number[][][]; losses: number[] };
}

const at = (name: string) => join(goldens, 'peft', name);
const golden = JSON.parse(readFileSync(at('golden.json'), 'utf8')) as Golden;
const ofEmbeddings = JSON.parse(readFileSync(at('embedding.json'), 'utf8')) as OfEmbeddings;
let scratch: string;
beforeAll(() => void (scratch = mkdtempSync(join(tmpdir(), 'whorl-peft-'))));
afterAll(() => rmSync(scratch, { recursive: true }));

const cases = [
  ...Object.entries(golden.adapters).map(([name, { changed }]) => ({ name, changed, on: golden.model })),
  ...Object.entries(ofEmbeddings.adapters).map(([name, { changed, model: on }]) => ({
    name: `embedding/${name}`,
    changed,
    on,
  })),
];
test.each(cases)('merged as PEFT merges: $name', async ({ name, changed: wantedChanges, on }) => {
  const base = join(goldens, 'models', on);
  const out = join(scratch, `merged-${name.replace('/', '-')}`);
  const { changed, kept } = await mergeAdapter({ model: base, adapter: at(name), out });
  expect([...changed].sort()).toEqual(wantedChanges);
  const wanted = readSafetensorsHeader(join(at(name), 'merged.safetensors')).tensors;
  const got = readSafetensorsHeader(join(out, 'model.safetensors')).tensors;
  const before = readSafetensorsHeader(join(base, 'model.safetensors')).tensors;
  expect(got.size).toBe(changed.length + kept);
  for (const [tensor, ref] of got) {
    const [ours, theirs] = [readTensor(ref).data, readTensor(wanted.get(tensor) ?? before.get(tensor)!).data];
    const rounding = ref.dtype === 'bfloat16' ? 2 ** -8 : 0; // PEFT's own is left in float32
    const far = ours.map((x, i) => Math.abs(x - theirs[i]!) - rounding * Math.abs(theirs[i]!));
    expect(Math.max(...far)).toBeLessThanOrEqual(wanted.has(tensor) ? 1e-6 : 0);
  }
  await expect(mergeAdapter({ model: base, adapter: at(name), out })).rejects.toMatchObject({
    code: 'exists',
  });
});

test.each([
  { from: 'start', of: { ...golden.training, model: golden.model }, modules: ['q_proj', 'v_proj'] },
  { from: 'embedding/start', of: ofEmbeddings.training, modules: ['embedding', 'v_proj'] },
])('ten steps from an adapter that PEFT saved lose what PEFT loses: $from', async ({ from, of, modules }) => {
  const { lr, clip, batches, losses } = of;
  const trainer = await Trainer.compile(load(of.model), {
    settings: { ...ADAMW, clip },
    trains: lowRank(modules, 4, 8),
  });
  let state = stateFromPeft(at(from), 2);
  const ours: number[] = [];
  for (const batch of batches) {
    const weight = 1 / batch.reduce((sum, ids) => sum + ids.length - 1, 0);
    const examples = batch.map((ids) => ({
      tokens: ids.slice(0, -1),
      variant: VANILLA,
      labels: ids.slice(1).map((token, row) => ({ row, token, kind: 'fire' as const, weight })),
    }));
    const step = await trainer.step(state, examples, lr);
    state = step.state;
    ours.push(step.loss);
  }
  await trainer.release();
  const far = ours.map((loss, i) => Math.abs(loss - losses[i]!));
  expect(Math.max(...far)).toBeLessThan(1e-3);
});

test.each([
  ['start', 4],
  ['embedding/start', 3],
])('what we write is what PEFT wrote: the same keys, shapes and values (%s)', async (from, modules) => {
  const out = join(scratch, `written-${from.replace('/', '-')}`);
  const shape = { rank: 4, alpha: 8, base: golden.model };
  cpSync(at(from), out, { recursive: true }); // a folder that stands; both files are written anew
  await writePeftAdapter(stateFromPeft(at(from), 2), shape, out);
  const [ours, theirs] = [out, at(from)].map(
    (folder) => readSafetensorsHeader(join(folder, 'adapter_model.safetensors')).tensors,
  );
  expect([...ours!.keys()].sort()).toEqual([...theirs!.keys()].sort());
  for (const [name, ref] of ours!) {
    expect(ref.shape).toEqual(theirs!.get(name)!.shape);
    expect(readTensor(ref).data).toEqual(readTensor(theirs!.get(name)!).data);
  }
  expect(readPeftAdapter(out).parts.size).toBe(modules);
});

describe('refused', () => {
  const changed = (change: Record<string, unknown>): string => {
    const folder = mkdtempSync(join(scratch, 'bad-'));
    cpSync(at('plain'), folder, { recursive: true });
    const file = join(folder, 'adapter_config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...config, ...change }));
    return folder;
  };
  test.each<[string, Record<string, unknown>, string]>([
    ['use_dora', { use_dora: true }, 'mismatch'],
    ['layer_replication', { layer_replication: [[0, 1]] }, 'unsupported'],
    ['alora_invocation_tokens', { alora_invocation_tokens: [1] }, 'unsupported'],
    ['layers_to_transform', { layers_to_transform: [0] }, 'mismatch'],
    ['init_lora_weights', { init_lora_weights: 'pissa' }, 'unsupported'],
    ['peft_type', { peft_type: 'LOHA' }, 'unsupported'],
    ['a_setting_of_tomorrow', { a_setting_of_tomorrow: 3 }, 'unsupported'],
    ['alpha_pattern', { alpha_pattern: { '(a+)+$': 1 } }, 'unsupported'],
    ['rank 8', { r: 8 }, 'mismatch'],
    ['target_modules', { target_modules: ['v_proj'] }, 'mismatch'],
  ])('%s', (says, change, code) => {
    let error: unknown;
    try {
      readPeftAdapter(changed(change));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) as string });
  });

  test('an adapter of another base names the tensor; nothing is written', async () => {
    const out = join(scratch, 'unfit');
    const other = join(goldens, 'models', 'llama-gqa');
    await expect(mergeAdapter({ model: other, adapter: at('plain'), out })).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining('layers.0.self_attn') as string,
    });
    expect(() => readFileSync(join(out, 'config.json'))).toThrow();
  });
});
