// PEFT's adapters (goldens/peft): what PEFT saved merges here to PEFT's own weights; what is not LoRA is refused by name.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { openModel } from '../../src/models/open-model.ts';
import { readPeftAdapter, writePeftAdapter } from '../../src/sources/checkpoints/peft-adapter.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { mergeAdapter } from '../../src/train/merge.ts';

const goldens = fileURLToPath(new URL('../../goldens/', import.meta.url));
const BASE = join(goldens, 'models/llama-gqa');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-peft-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const { adapters } = JSON.parse(readFileSync(join(goldens, 'peft/golden.json'), 'utf8')) as {
  adapters: Record<string, { changed: string[] }>;
};
const golden = readSafetensorsHeader(join(goldens, 'peft/golden.safetensors')).tensors;

describe.each(Object.keys(adapters))('%s', (name) => {
  const adapter = join(goldens, 'peft', name);

  test("merged, it is PEFT's merge; nothing else changed", async () => {
    const out = join(scratch, name);
    const { changed } = await mergeAdapter({ model: BASE, adapter, out });
    expect([...changed].sort()).toEqual([...adapters[name]!.changed].sort());
    const [before, after] = [await openModel(BASE), await openModel(out)];
    let compared = 0;
    for (const [tensor, ref] of after.tensors) {
      const own = readTensor(ref).data;
      const theirs = golden.get(`${name}.${tensor}`);
      if (theirs) {
        compared++;
        const wanted = readTensor(theirs).data;
        const worst = own.reduce((most, x, i) => Math.max(most, Math.abs(x - wanted[i]!)), 0);
        expect(worst).toBeLessThan(1e-6);
      } else if (!changed.includes(tensor)) expect(own).toEqual(readTensor(before.tensors.get(tensor)!).data);
    }
    expect(compared).toBe(4);
  });

  test('written again and read, it is the same maps', () => {
    const { maps } = readPeftAdapter(adapter);
    for (const own of maps) {
      const folder = mkdtempSync(join(scratch, 'one-'));
      writePeftAdapter(folder, [own], 'base');
      const [again] = readPeftAdapter(folder).maps;
      expect(again).toEqual({ ...own, scale: expect.closeTo(own.scale, 12) as number });
    }
  });
});

const edited = (edit: (config: Record<string, unknown>) => void): string => {
  const folder = mkdtempSync(join(scratch, 'bad-'));
  cpSync(join(goldens, 'peft/plain'), folder, { recursive: true });
  const path = join(folder, 'adapter_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  edit(config);
  writeFileSync(path, JSON.stringify(config));
  return folder;
};

test.each<[(config: Record<string, unknown>) => void, RegExp]>([
  [(c) => (c.use_dora = true), /use_dora is set, which Whorl does not read/],
  [(c) => (c.modules_to_save = ['lm_head']), /modules_to_save is set/],
  [(c) => (c.peft_type = 'IA3'), /peft_type is "IA3", not "LORA"/],
  [(c) => (c.bias = 'all'), /bias is "all": only "none"/],
  [(c) => (c.lora_alpha = 'x'), /lora_alpha is no number/],
  [(c) => (c.alpha_pattern = { '(a+)+$': 2 }), /alpha_pattern names layers by the expression/],
])('refused: %s', (edit, message) => {
  expect(() => readPeftAdapter(edited(edit))).toThrow(message);
});

test('an adapter of another model is named by its layer', async () => {
  const merge = (model: string) =>
    mergeAdapter({ model, adapter: join(goldens, 'peft/plain'), out: join(scratch, 'other') });
  await expect(merge(join(goldens, 'models/llama-head-dim'))).rejects.toThrow(
    /the map on model\.layers\.\d+\.self_attn\.[qv]_proj is for \[\d+,\d+\], the weight is \[/,
  );
  rmSync(join(scratch, 'empty'), { recursive: true, force: true });
  expect(() => readPeftAdapter(scratch)).toThrow(/has no adapter_config\.json/);
});
