// A folder of a cache, made by two at once: the first one's stays, and the second goes on with it.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeFolderAtomic, writeFolderOnce } from '../../src/base/atomic.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-once-'));
afterAll(() => rmSync(scratch, { recursive: true }));

test('the faster one’s folder stays, the other’s leaves nothing', async () => {
  const folder = join(scratch, 'made');
  const build = (text: string) => (at: string) => writeFileSync(join(at, 'file'), text);
  await writeFolderOnce(folder, async (at) => {
    build('late')(at);
    await writeFolderOnce(folder, build('first'));
  });
  expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('first');
  expect(readdirSync(scratch)).toEqual(['made']);
  await expect(writeFolderAtomic(folder, build('again'))).rejects.toMatchObject({ code: 'exists' });
});

test('what else goes wrong is said', async () => {
  const folder = join(scratch, 'failed');
  const build = () => {
    throw new Error('no');
  };
  await expect(writeFolderOnce(folder, build)).rejects.toThrow('no');
});
