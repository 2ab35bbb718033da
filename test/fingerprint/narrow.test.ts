// A model that is too narrow for the defaults is told so before any work: other settings are taken, or it is refused.

import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { defaultsOf } from '../../src/base/setting.ts';
import { METHODS, narrowWords, settingsFor } from '../../src/fingerprint/registry.ts';
import { fingerprint } from '../../src/index.ts';

const model = join(packageRoot(), 'assets/embedded/model');

test('settings go by the hidden size, under the user’s own; a wide model has the defaults', () => {
  const rows = METHODS.rows!;
  expect(settingsFor(rows, '', {}, 576)).toEqual(defaultsOf(rows.schema));
  expect(settingsFor(rows, '', {}, 192)).toMatchObject({ trained: 24, key_length: 8 });
  expect(settingsFor(rows, '', { trained: '9' }, 192)).toMatchObject({ trained: 9, key_length: 8 });
  expect(settingsFor(METHODS.adapter!, '', {}, 64)).toMatchObject({ dim: 64 });
  expect(narrowWords(rows, 576, {})).toBeUndefined();
  expect(narrowWords(rows, 192, { trained: '9' })).toMatch(
    /^hidden size 192 is below 384: rows takes key_length=8/,
  );
  expect(narrowWords(rows, 64, {})).toMatch(/none narrower than 192 was tried/);
});

test('a method of which no settings hold there is refused before anything is written', async () => {
  const out = join(mkdtempSync(join(tmpdir(), 'whorl-narrow-')), 'run');
  await expect(fingerprint({ model, out, method: 'lora' })).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('take --method sft') as string,
  });
  expect(readdirSync(join(out, '..'))).toEqual([]);
});
