// Adapters on some layers only and on a tied head, merged as PEFT merges them (goldens/peft/make_kinds.py).

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mergeAdapter } from '../../src/models/merge-adapter.ts';
import { readPeftAdapter } from '../../src/sources/checkpoints/peft.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { goldens } from './tiny.ts';

const golden = JSON.parse(readFileSync(join(goldens, 'peft/kinds.json'), 'utf8')) as {
  kinds: Record<string, { model: string; changed: string[] }>;
};
const at = (name: string) => join(goldens, 'peft/kinds', name);
let scratch: string;
beforeAll(() => void (scratch = mkdtempSync(join(tmpdir(), 'whorl-peft-kinds-'))));
afterAll(() => rmSync(scratch, { recursive: true }));

const tensorsOf = (path: string) => readSafetensorsHeader(path).tensors;

test.each(Object.entries(golden.kinds))('merged as PEFT merges: %s', async (name, kind) => {
  const model = join(goldens, 'models', kind.model);
  const out = join(scratch, name);
  const notes: string[] = [];
  const { changed } = await mergeAdapter({
    model,
    adapter: at(name),
    out,
    onEvent: (event) => void (event.kind === 'note' && notes.push(event.text)),
  });
  const [wanted, before, got] = [
    tensorsOf(join(at(name), 'merged.safetensors')),
    tensorsOf(join(model, 'model.safetensors')),
    tensorsOf(join(out, 'model.safetensors')),
  ];
  // The head of a tied model is the embedding, which is what the file has.
  expect([...changed].sort()).toEqual(kind.changed.filter((tensor) => before.has(tensor)));
  for (const [tensor, ref] of got) {
    const [ours, theirs] = [readTensor(ref).data, readTensor(wanted.get(tensor) ?? before.get(tensor)!).data];
    const far = ours.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs[i]!)), 0);
    expect(far).toBeLessThanOrEqual(wanted.has(tensor) ? 1e-5 : 0);
  }
  expect(notes).toEqual(
    name === 'tied-head'
      ? [expect.stringMatching(/lm_head is tied to model\.embed_tokens\.weight: both change/)]
      : [],
  );
});

describe('refused', () => {
  const changed = (more: object): string => {
    const folder = mkdtempSync(join(scratch, 'changed-'));
    cpSync(at('layers'), folder, { recursive: true });
    const path = join(folder, 'adapter_config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...config, ...more }));
    return folder;
  };

  test.each<[object, string, string]>([
    [{ layers_to_transform: [0] }, 'mismatch', 'layers_to_transform'],
    [{ layers_to_transform: 0 }, 'mismatch', 'model.layers.1.'],
    [{ layers_pattern: 'h' }, 'mismatch', 'layers_to_transform'],
    [{ layers_to_transform: ['1'] }, 'bad-file', 'layers_to_transform'],
    [{ layers_pattern: 'lay.*' }, 'unsupported', 'layers_pattern'],
    [{ use_dora: true }, 'mismatch', 'use_dora'],
    [{ lora_bias: true }, 'mismatch', 'lora_bias'],
    [{ trainable_token_indices: [1, 2] }, 'bad-file', 'trainable_token_indices'],
    [{ rank_pattern: { 'q_(proj)+': 2 } }, 'unsupported', 'rank_pattern'],
  ])('%j', (more, code, says) => {
    expect(() => readPeftAdapter(changed(more))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) as string }) as Error,
    );
  });

  test.each([
    { layers_to_transform: null },
    { layers_pattern: '' },
    { layers_to_transform: 1 },
    { layers_pattern: [] },
  ])('not refused: %j', (more) => {
    expect(readPeftAdapter(changed(more)).parts.size).toBe(2);
  });
});
