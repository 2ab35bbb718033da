import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { leftOverNote } from '../../src/models/left-over.ts';
import type { Model } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');

/** A copy whose config says another number of layers. */
function copyOf(config: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'whorl-left-over-'));
  cpSync(EMBEDDED, folder, { recursive: true });
  const path = join(folder, 'config.json');
  const own = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...own, ...config }));
  return folder;
}

const withTensor = (model: Model, name: string, shape: readonly number[]): Model => {
  const [[, ref]] = [...model.tensors] as [[string, NonNullable<ReturnType<Model['tensors']['get']>>]];
  return { ...model, tensors: new Map([...model.tensors, [name, { ...ref, shape }]]) };
};

it('says that layers behind the last are left out, and makes no model of such a folder', async () => {
  const folder = copyOf({ num_hidden_layers: 1 });
  const notes: string[] = [];
  await openModel(folder, { onEvent: (event) => event.kind === 'note' && notes.push(event.text) });
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(
    /model\.layers\.1\.\S+ and \d+ more tensors of its layers are not in what its config/,
  );
  const out = join(mkdtempSync(join(tmpdir(), 'whorl-left-over-')), 'run');
  await expect(fingerprint({ model: folder, out, method: 'rows' })).rejects.toMatchObject({
    code: 'bad-file',
  });
});

it('names a bias that the config does not speak of', async () => {
  const model = await openModel(EMBEDDED);
  const { hidden_size } = model.decoder.config;
  const note = leftOverNote(withTensor(model, 'model.layers.0.self_attn.q_proj.bias', [hidden_size]));
  expect(note).toContain('"model.layers.0.self_attn.q_proj.bias" of its layers is not');
});

it.each([
  ['rotary frequencies', 'model.layers.0.self_attn.rotary_emb.inv_freq', [16]],
  ['a causal mask', 'model.layers.0.attn.bias', [1, 1, 64, 64]],
  ['a masked value', 'model.layers.0.attn.masked_bias', []],
  [
    'a table that T5 never reads',
    'model.layers.0.layer.1.EncDecAttention.relative_attention_bias.weight',
    [32, 4],
  ],
  ['another head', 'score.weight', [2, 64]],
  ['a vision tower', 'vision_tower.layers.0.mlp.weight', [4, 4]],
])('says nothing of %s', async (_, name, shape) => {
  expect(leftOverNote(withTensor(await openModel(EMBEDDED), name, shape))).toBeUndefined();
});

it('says nothing of layers that predict further tokens', async () => {
  const model = withTensor(await openModel(EMBEDDED), 'model.layers.61.mlp.up_proj.weight', [4, 4]);
  expect(leftOverNote(model)).toContain('model.layers.61');
  const predicting = { ...model, config: { ...model.config, num_nextn_predict_layers: 1 } };
  expect(leftOverNote(predicting)).toBeUndefined();
});
