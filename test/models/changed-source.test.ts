// A model that is converted when it is opened and changes meanwhile: nothing of it stays under the name of what it was.

import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openModel } from '../../src/models/open-model.ts';
import { goldens } from '../train/tiny.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-changed-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test.each([
  ['gguf', 'gguf/type-f16.gguf', 'dequantising', ''],
  ['torch', 'lm-eval/t5', 'converting', 'pytorch_model.bin'],
])('%s', async (kind, source, phase, inside) => {
  const own = join(scratch, kind + (inside === '' ? '.gguf' : ''));
  cpSync(join(goldens, source), own, { recursive: true });
  const cacheDir = join(scratch, `${kind}-cache`);
  const onEvent = (event: { readonly kind: string; readonly name?: string }) => {
    if (event.kind === 'progress' && event.name === phase) utimesSync(join(own, inside), 1, 1);
  };
  await expect(openModel(own, { cacheDir, onEvent })).rejects.toMatchObject({ code: 'changed' });
  const made = join(cacheDir, kind);
  expect(existsSync(made) ? readdirSync(made) : []).toEqual([]);
  await openModel(own, { cacheDir });
  expect(readdirSync(made)).toHaveLength(1);
});
