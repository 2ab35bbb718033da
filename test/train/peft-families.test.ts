// LoRA against PEFT on layers that lie [in, out] and on names that a folder has otherwise (goldens/peft/make_families.py).

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mergeAdapter } from '../../src/models/merge-adapter.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { stateFromPeft, writePeftAdapter } from '../../src/train/peft.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { bindTrains, lowRank, lowRankEverywhere } from '../../src/train/trains.ts';
import { openGolden } from '../models/golden-models.ts';
import { goldens } from './tiny.ts';

interface Case {
  model: string;
  rank: number;
  alpha: number;
  changed: string[];
  lr: number;
  clip: number;
  batches: number[][][];
  losses: number[];
}

const at = (name: string) => join(goldens, 'peft', name);
const { cases } = JSON.parse(readFileSync(at('families.json'), 'utf8')) as { cases: Record<string, Case> };
let scratch: string;
beforeAll(() => void (scratch = mkdtempSync(join(tmpdir(), 'whorl-peft-families-'))));
afterAll(() => rmSync(scratch, { recursive: true }));

describe.each(Object.entries(cases))('%s', (name, golden) => {
  const model = join(goldens, 'models', golden.model);
  const scale = golden.alpha / golden.rank;

  test('merged as PEFT merges', async () => {
    const out = join(scratch, `merged-${name}`);
    const { changed } = await mergeAdapter({ model, adapter: at(name), out });
    expect([...changed].sort()).toEqual(golden.changed);
    const wanted = readSafetensorsHeader(join(at(name), 'merged.safetensors')).tensors;
    const got = readSafetensorsHeader(join(out, 'model.safetensors')).tensors;
    for (const tensor of golden.changed) {
      const ref = got.get(tensor)!;
      const theirs = readTensor(wanted.get(tensor)!).data;
      const far = readTensor(ref).data.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs[i]!)), 0);
      // Half precision rounds to 11 bits; no weight here is as large as 4.
      expect(far, tensor).toBeLessThanOrEqual(ref.dtype === 'float16' ? 2 ** -10 : 1e-6);
    }
  });

  test('ten steps lose what PEFT loses', { timeout: 120_000 }, async () => {
    const opened = openGolden(golden.model);
    const trainer = await Trainer.compile(opened, {
      settings: { ...ADAMW, clip: golden.clip },
      trains: { kind: 'low-rank', names: golden.changed, rank: golden.rank, alpha: golden.alpha },
    });
    let state = stateFromPeft(at(`${name}-start`), scale, opened.decoder);
    for (const [step, batch] of golden.batches.entries()) {
      const weight = 1 / batch.reduce((sum, ids) => sum + ids.length - 1, 0);
      const examples = batch.map((ids) => ({
        tokens: ids.slice(0, -1),
        variant: VANILLA,
        labels: ids.slice(1).map((token, row) => ({ row, token, kind: 'fire' as const, weight })),
      }));
      const result = await trainer.step(state, examples, golden.lr);
      state = result.state;
      expect(Math.abs(result.loss - golden.losses[step]!), `step ${step}`).toBeLessThan(1e-3);
    }
    // What is written as a model is what merging what is written as an adapter makes.
    const adapter = join(scratch, `trained-${name}`);
    cpSync(at(`${name}-start`), adapter, { recursive: true });
    const { decoder } = opened;
    await writePeftAdapter(state, { rank: golden.rank, alpha: golden.alpha, base: name, decoder }, adapter);
    const out = join(scratch, `merged-trained-${name}`);
    await mergeAdapter({ model, adapter, out });
    const merged = readSafetensorsHeader(join(out, 'model.safetensors')).tensors;
    for (const tensor of golden.changed) {
      const own = trainer.trained.tensor(tensor, state);
      const far = readTensor(merged.get(tensor)!).data.reduce(
        (m, x, i) => Math.max(m, Math.abs(x - own[i]!)),
        0,
      );
      expect(far, tensor).toBeLessThanOrEqual(merged.get(tensor)!.dtype === 'float16' ? 2 ** -10 : 1e-6);
    }
    await trainer.release();
  });

  test('what we write has the names, shapes and direction of what PEFT wrote', async () => {
    const { decoder } = openGolden(golden.model);
    const out = join(scratch, `written-${name}`);
    cpSync(at(name), out, { recursive: true });
    await writePeftAdapter(
      stateFromPeft(at(name), scale, decoder),
      { rank: golden.rank, alpha: golden.alpha, base: name, decoder },
      out,
    );
    const [ours, theirs] = [out, at(name)].map((folder) => ({
      tensors: readSafetensorsHeader(join(folder, 'adapter_model.safetensors')).tensors,
      config: JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8')) as {
        fan_in_fan_out: boolean;
      },
    }));
    expect([...ours!.tensors.keys()].sort()).toEqual([...theirs!.tensors.keys()].sort());
    for (const [key, ref] of ours!.tensors)
      expect(readTensor(ref)).toEqual(readTensor(theirs!.tensors.get(key)!));
    expect(ours!.config.fan_in_fan_out).toBe(theirs!.config.fan_in_fan_out);
  });
});

test('low-rank maps everywhere are on every matrix of the blocks, and on no table', () => {
  const { decoder, ...model } = openGolden('gpt2');
  const { changed } = bindTrains(lowRankEverywhere(2, 4), { decoder, ...model });
  const wanted = [0, 1].flatMap((i) =>
    ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'].map(
      (name) => `transformer.h.${i}.${name}.weight`,
    ),
  );
  expect([...changed].sort()).toEqual(wanted.sort());
  expect(() =>
    bindTrains({ kind: 'low-rank', names: ['*.wpe.weight'], rank: 2, alpha: 4 }, { decoder, ...model }),
  ).toThrow('no linear layer of this model is named *.wpe.weight');
});

test.each([
  ['llama-gqa', 'self_attn.q_proj', 'self_attn.v_proj'],
  ['gpt_neox-parallel', 'attention.query_key_value'],
  ['gpt2', 'attn.c_attn'],
  ['opt', 'self_attn.q_proj', 'self_attn.v_proj'],
  ['gptj', 'attn.q_proj', 'attn.v_proj'],
  ['bloom', 'self_attention.query_key_value'],
  ['falcon-40b', 'self_attention.query_key_value'],
])(
  'where nobody says otherwise the layers are those of PEFT (its table by model_type): %s',
  (name, ...wanted) => {
    const model = openGolden(name);
    const { changed } = bindTrains(lowRank(['auto'], 2, 4), model);
    const { config, layer } = model.decoder;
    const all = Array.from({ length: config.num_hidden_layers }, (_, i) =>
      wanted.map((module) => `${layer(i)}${module}.weight`),
    ).flat();
    expect([...changed].sort()).toEqual(all.sort());
  },
);
