// `npm publish` is refused as long as package.json says where the source lies by a placeholder alone.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-publish-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const script = join(packageRoot(), 'scripts/publishable.mjs');
const own = join(packageRoot(), 'package.json');

function tried(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { status, stderr };
}

const REAL = {
  repository: { type: 'git', url: 'git+https://git.real-host.dev/someone/whorl.git' },
  bugs: { url: 'https://git.real-host.dev/someone/whorl/issues' },
  homepage: 'https://git.real-host.dev/someone/whorl#readme',
};

test.each<[string, object, RegExp | undefined]>([
  ['real addresses', REAL, undefined],
  ['real addresses as texts', { ...REAL, repository: REAL.repository.url, bugs: REAL.bugs.url }, undefined],
  [
    'a repository under .invalid',
    { ...REAL, repository: { url: 'git+https://a.invalid/b.git' } },
    /repository is a placeholder/,
  ],
  [
    'a placeholder at example.com',
    { ...REAL, homepage: 'https://www.example.com/' },
    /homepage is a placeholder/,
  ],
  ['no bugs', { ...REAL, bugs: undefined }, /bugs is not set/],
  ['an empty page', { ...REAL, homepage: '' }, /homepage is not set/],
  ['a short form', { ...REAL, repository: 'someone/whorl' }, /repository is no address/],
  ['no https', { ...REAL, bugs: 'http://git.real-host.dev/' }, /bugs is not on https/],
  ['nothing', {}, /repository is not set; bugs is not set; homepage is not set/],
])('%s', (_, content, words) => {
  const path = join(scratch, 'package.json');
  writeFileSync(path, JSON.stringify(content));
  const { status, stderr } = tried(path);
  expect(status).toBe(words === undefined ? 0 : 1);
  expect(stderr).toMatch(words ?? /^$/);
});

test('npm calls it before it publishes, and this package is refused while its addresses are placeholders', () => {
  const { scripts, repository } = JSON.parse(readFileSync(own, 'utf8')) as {
    scripts: Record<string, string>;
    repository: { url: string };
  };
  expect(scripts.prepublishOnly).toBe('node scripts/publishable.mjs');
  expect(tried().status).toBe(repository.url.includes('.invalid') ? 1 : 0);
});
