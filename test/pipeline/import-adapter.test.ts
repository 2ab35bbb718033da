// The paper's instruction_emb.pt, as torch writes it, becomes safetensors with torch's bytes and words that are true
// of its tensors.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { importAdapter } from '../../src/pipeline/import/adapter.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';

const goldens = fileURLToPath(new URL('../../goldens/torch/', import.meta.url));
const golden = JSON.parse(readFileSync(join(goldens, 'golden.json'), 'utf8')) as Record<
  string,
  { ids: number[] | null; tensors: Record<string, { dtype: string; shape: number[]; sha256: string }> }
>;
const temporary = mkdtempSync(join(tmpdir(), 'whorl-import-'));
afterAll(() => rmSync(temporary, { recursive: true }));

test.each([
  ['paper-bf16', { constant: true, zero: true, rows_equal_table: true }],
  ['paper-f32', { constant: true, zero: true, rows_equal_table: true }],
  ['learned-f16', { constant: false, zero: false, rows_equal_table: false }],
  ['state-dict', { constant: true, zero: true, rows_equal_table: null }],
])('%s', async (name, looks) => {
  const out = join(temporary, name);
  const report = await importAdapter(join(goldens, `${name}.pt`), out);
  expect(report).toMatchObject({ vocabulary: 40, width: 8, dim: 2, token_ids: golden[name]!.ids, ...looks });
  expect(report.words.includes('is a bias vector')).toBe(looks.constant);
  expect(report.words).toContain('vanilla + adapter');
  const file = join(out, 'adapter.safetensors');
  const bytes = readFileSync(file);
  const tensors = Object.fromEntries(
    [...readSafetensorsHeader(file).tensors].map(([tensor, { dtype, shape, offset, length }]) => [
      tensor,
      {
        dtype,
        shape,
        sha256: createHash('sha256')
          .update(bytes.subarray(offset, offset + length))
          .digest('hex'),
      },
    ]),
  );
  expect(tensors).toEqual(golden[name]!.tensors);
  expect(statSync(out).mode & 0o777).toBe(0o700);
  expect(JSON.parse(readFileSync(join(out, 'adapter.json'), 'utf8'))).toMatchObject({
    format: 'whorl-imported-adapter',
    token_ids: golden[name]!.ids,
    ...looks,
  });
});

test.each([
  ['attributes', [5, 2]],
  ['attributes-state', null],
])('parameters and tensors that carry attributes: %s', async (name, ids) => {
  const wanted = JSON.parse(
    readFileSync(join(goldens, 'attributes.json'), 'utf8'),
  ) as (typeof golden)[string];
  const out = join(temporary, name);
  expect(await importAdapter(join(goldens, `${name}.pt`), out)).toMatchObject({ token_ids: ids, dim: 3 });
  const file = join(out, 'adapter.safetensors');
  const bytes = readFileSync(file);
  for (const [tensor, { offset, length }] of readSafetensorsHeader(file).tensors)
    expect(
      createHash('sha256')
        .update(bytes.subarray(offset, offset + length))
        .digest('hex'),
      tensor,
    ).toBe(wanted.tensors[tensor]!.sha256);
});

test('what is no adapter, and a folder that is there', async () => {
  const out = join(temporary, 'views');
  await expect(importAdapter(join(goldens, 'views.pt'), out)).rejects.toMatchObject({ code: 'unsupported' });
  await expect(
    importAdapter(join(goldens, 'state-dict.pt'), join(temporary, 'paper-f32')),
  ).rejects.toMatchObject({
    code: 'exists',
  });
  const hostile = fileURLToPath(new URL('../../goldens/bad-files/pickle/os-system.pt', import.meta.url));
  await expect(importAdapter(hostile, out)).rejects.toThrow(/"os.system" is not allowed/);
});
