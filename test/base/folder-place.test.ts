// Where a folder is written whose path is strange: by the path's words, not by what of it is there.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeFolderAtomic } from '../../src/base/atomic.ts';
import { openModel } from '../../src/models/open-model.ts';

const root = mkdtempSync(join(tmpdir(), 'whorl-place-'));
afterAll(() => rmSync(root, { recursive: true }));
const write = (path: string) =>
  writeFolderAtomic(path, (folder) => writeFileSync(join(folder, 'x'), 'content'));

test.each([
  ['new/../a', 'a'],
  ['b/', 'b'],
  ['ä b\nc 日本', 'ä b\nc 日本'],
  ['deep/er/./c', 'deep/er/c'],
  [`${'x'.repeat(255)}`, 'x'.repeat(255)],
])('%j', async (path, lies) => {
  await write(`${root}/${path}`);
  expect(readFileSync(join(root, lies, 'x'), 'utf8')).toBe('content');
  expect(existsSync(join(root, 'new'))).toBe(false);
});

test('a name that the file system does not take is one error before anything is made', async () => {
  await expect(write(join(root, 'x'.repeat(256)))).rejects.toMatchObject({ code: 'bad-path' });
});

test('a cache that cannot be written says how to name another', async () => {
  writeFileSync(join(root, 'file'), '');
  const gguf = new URL('../../goldens/gguf/type-f16.gguf', import.meta.url).pathname;
  await expect(openModel(gguf, { cacheDir: '/proc/none' })).rejects.toMatchObject({
    message: expect.stringMatching(
      /^\/proc\/none\S* cannot be .*: name another folder for the cache in WHORL_CACHE$/,
    ) as string,
  });
});
