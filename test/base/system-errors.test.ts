// What the system refuses, in our words: every code of the record, real disks that are full, read-only or pseudo.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  AtomicFile,
  checkWritable,
  copyFileAtomic,
  makeFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from '../../src/base/atomic.ts';
import { WhorlError } from '../../src/base/error.ts';
import { isThere, systemError } from '../../src/base/system-errors.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-outcomes-'));
const linux = process.platform === 'linux';

function outcome(act: () => unknown): { code: string; message: string } {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(WhorlError);
    const { code, message } = error as WhorlError;
    expect(message).not.toContain('\n');
    return { code, message };
  }
  throw new Error('nothing was thrown');
}

const thrown = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code, ...more });

test('a code means the same wherever it comes from, and writing has its own words where they differ', () => {
  const at = { syscall: 'open', path: '/some/file' };
  const of = (code: string, purpose?: 'reading' | 'writing') =>
    systemError(thrown(code, at), undefined, purpose)?.code;
  expect({
    ENOSPC: of('ENOSPC'),
    EDQUOT: of('EDQUOT'),
    EROFS: of('EROFS'),
    reading: of('EACCES', 'reading'),
    writing: of('EACCES', 'writing'),
    ENOTDIR: of('ENOTDIR'),
    EISDIR: of('EISDIR'),
    ELOOP: of('ELOOP'),
    ENAMETOOLONG: of('ENAMETOOLONG'),
    EXDEV: of('EXDEV'),
    EMFILE: of('EMFILE'),
    ENFILE: of('ENFILE'),
    EIO: of('EIO'),
    ENOENT: of('ENOENT'),
    made: of('ENOENT', 'writing'),
    unheard: of('EWHATEVER'),
  }).toEqual({
    ENOSPC: 'no-space',
    EDQUOT: 'no-space',
    EROFS: 'not-writable',
    reading: 'no-access',
    writing: 'not-writable',
    ENOTDIR: 'bad-path',
    EISDIR: 'bad-path',
    ELOOP: 'bad-path',
    ENAMETOOLONG: 'bad-path',
    EXDEV: 'bad-path',
    EMFILE: 'too-many-files',
    ENFILE: 'too-many-files',
    EIO: 'disk-error',
    ENOENT: 'missing-file',
    made: 'not-writable',
    unheard: 'disk-error',
  });
  expect(systemError(thrown('EROFS', at))?.message).toMatch(
    /^\/some\/file cannot be written: .*read-only: name/,
  );
});

test('our own errors and bugs are no refusals of the system', () => {
  expect(systemError(new WhorlError('usage', 'x'))).toBeUndefined();
  expect(systemError(new TypeError('x is not a function'))).toBeUndefined();
  expect(systemError(thrown('ERR_ASSERTION'))).toBeUndefined();
});

describe('paths that cannot be', () => {
  const file = join(scratch, 'file');
  writeFileSync(file, 'x');
  symlinkSync('circle', join(scratch, 'circle'));
  symlinkSync('/nowhere/at/all', join(scratch, 'dangling'));
  const writers: Record<string, (path: string) => void> = {
    writeFileAtomic: (path) => writeFileAtomic(path, 'x'),
    makeFolder,
    checkWritable,
    copyFileAtomic: (path) => copyFileAtomic(file, path),
  };
  test.each(Object.keys(writers))('%s below a file, in a circle, with too long a name', (name) => {
    const write = writers[name]!;
    expect(outcome(() => write(join(file, 'a', 'b')))).toEqual({
      code: 'bad-path',
      message: expect.stringContaining(file) as string,
    });
    expect(outcome(() => write(join(scratch, 'circle', 'a'))).code).toBe('bad-path');
    expect(outcome(() => write(join(scratch, 'n'.repeat(300)))).code).toBe('bad-path');
  });
  test('a link that leads nowhere is no folder', () => {
    expect(outcome(() => makeFolder(join(scratch, 'dangling'))).code).toBe('bad-path');
  });
  test('a name of 255 bytes, which is allowed, is written', () => {
    const path = join(scratch, 'ü'.repeat(127));
    writeFileAtomic(path, 'x');
    expect(isThere(path)).toBe(true);
  });
  test('what stands already is said, and nothing is left beside it', async () => {
    const parent = join(scratch, 'parent');
    mkdirSync(join(parent, 'full', 'x'), { recursive: true });
    await expect(writeFolderAtomic(join(parent, 'full'), () => {})).rejects.toMatchObject({ code: 'exists' });
    expect(readdirSync(parent)).toEqual(['full']);
  });
});

describe.runIf(linux)('pseudo file systems', () => {
  test.each(['/proc/whorl/a', '/proc/whorl', '/sys/whorl/a', '/proc/1/whorl'])('%s ends', (path) => {
    expect(outcome(() => makeFolder(path)).code).toBe('not-writable');
    expect(outcome(() => checkWritable(path)).code).toBe('not-writable');
    expect(outcome(() => writeFileAtomic(join(path, 'x'), 'x')).code).toBe('not-writable');
  });
});

function mounted(name: string, ...options: string[]): string | undefined {
  const folder = join(scratch, name);
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    return undefined; // no right to mount here: these tests are skipped
  }
}

const small = linux ? mounted('small', '-o', 'size=64k') : undefined;
const frozen = linux ? mounted('frozen', '-o', 'ro') : undefined;
const few = linux ? mounted('few', '-o', 'nr_inodes=2') : undefined;
afterAll(() => {
  for (const folder of [small, frozen, few]) if (folder) execFileSync('umount', [folder]);
});

test.runIf(small)('a full disk: the path, the mend, and the room given back', async () => {
  const path = join(small!, 'weights');
  const { code, message } = outcome(() => writeFileAtomic(path, new Uint8Array(1 << 20)));
  expect(code).toBe('no-space');
  expect(message).toBe(
    `${path} cannot be written: the disk is full: make room there, or name a place on another disk`,
  );
  await expect(
    writeFolderAtomic(join(small!, 'model'), (folder) =>
      writeFileAtomic(join(folder, 'weights'), new Uint8Array(1 << 20)),
    ),
  ).rejects.toMatchObject({ code: 'no-space' });
  expect(readdirSync(small!)).toEqual([]);
  writeFileAtomic(path, new Uint8Array(32 << 10)); // what was begun takes no room any more
});

test.runIf(few)('no room for one more file', () => {
  const file = new AtomicFile(join(few!, 'first'));
  expect(outcome(() => writeFileAtomic(join(few!, 'second'), 'x')).code).toBe('no-space');
  file.discard();
});

test.runIf(frozen)('a read-only file system', () => {
  for (const write of [checkWritable, makeFolder, (path: string) => writeFileAtomic(path, 'x')])
    expect(outcome(() => write(join(frozen!, 'out')))).toEqual({
      code: 'not-writable',
      message: expect.stringContaining(
        `${join(frozen!, 'out')} cannot be written: the file system is read-only`,
      ) as string,
    });
});
