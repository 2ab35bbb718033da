// What the operating system's refusals (ENOSPC, EROFS, ENOTDIR …) mean to a person: one record, read by everything that
// writes (atomic.ts) and by whoever shows an error (cli/program.ts).

import { statSync } from 'node:fs';
import { type ErrorCode, WhorlError } from './error.ts';

interface Meaning {
  readonly code: ErrorCode;
  /** Follows the path. */
  readonly what: string;
  readonly fix: string;
}

const NO_FOLDER: Meaning = {
  code: 'bad-path',
  what: 'cannot be: a part of the path is a file',
  fix: 'check the path',
};
const NOT_A_FOLDER: Meaning = {
  code: 'bad-path',
  what: 'is a file where a folder is needed',
  fix: 'name a folder',
};
const NOT_THERE: Meaning = { code: 'missing-file', what: 'does not exist', fix: 'check the path' };
const DENIED: Meaning = {
  code: 'no-access',
  what: 'may not be read by this user',
  fix: 'give a file that you may read, or change its permissions',
};
const FAILING: Meaning = {
  code: 'disk-error',
  what: 'cannot be used: the file system fails',
  fix: 'check the disk or the network drive, or name another place',
};
const NO_FILE: Meaning = {
  code: 'bad-path',
  what: 'is no file or folder that can be used so',
  fix: 'name a plain file or folder',
};
const TAKEN: Meaning = { code: 'exists', what: 'is there already', fix: 'remove it or name another place' };
const FULL = 'make room there, or name a place on another disk';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'no-space', what: 'cannot be written: the disk is full', fix: FULL },
  EDQUOT: { code: 'no-space', what: "cannot be written: this user's quota is used up", fix: FULL },
  EFBIG: {
    code: 'no-space',
    what: 'cannot be written: it is larger than the file system or `ulimit -f` allows',
    fix: 'raise the limit, or name a place on another disk',
  },
  EACCES: DENIED,
  EPERM: DENIED,
  ENOENT: NOT_THERE,
  ENOTDIR: NO_FOLDER,
  EROFS: {
    code: 'not-writable',
    what: 'cannot be written: the file system is read-only',
    fix: 'name a place that can be written',
  },
  EISDIR: { code: 'bad-path', what: 'is a folder where a file is needed', fix: 'name a file' },
  ELOOP: { code: 'bad-path', what: 'goes through links that lead in a circle', fix: 'mend the links' },
  ENAMETOOLONG: {
    code: 'bad-path',
    what: 'is longer than the file system allows',
    fix: 'give a shorter name',
  },
  EXDEV: {
    code: 'bad-path',
    what: 'lies on another file system than what is to be moved there',
    fix: 'name a place that is no mount point',
  },
  EMFILE: {
    code: 'too-many-files',
    what: 'cannot be opened: this process has too many files open',
    fix: 'raise the limit (ulimit -n)',
  },
  ENFILE: {
    code: 'too-many-files',
    what: 'cannot be opened: this machine has too many files open',
    fix: 'end other programs',
  },
  ENOMEM: { code: 'out-of-memory', what: 'cannot be used: the memory is full', fix: 'end other programs' },
  EEXIST: TAKEN,
  ENOTEMPTY: TAKEN,
  EBUSY: { code: 'not-writable', what: 'is in use', fix: 'end what uses it, or name another place' },
  ETXTBSY: { code: 'not-writable', what: 'is in use', fix: 'end what uses it, or name another place' },
  EIO: FAILING,
  ESTALE: FAILING,
  ENXIO: NO_FILE,
  ENODEV: NO_FILE,
  EINVAL: NO_FILE,
  ESPIPE: NO_FILE,
  ENOTSUP: NO_FILE,
  EOPNOTSUPP: NO_FILE,
  ENOSYS: NO_FILE,
  ERR_FS_FILE_TOO_LARGE: { code: 'bad-file', what: 'is larger than 2 GiB', fix: 'give a smaller file' },
  ERR_INVALID_ARG_VALUE: { code: 'bad-path', what: 'is no path', fix: 'check the path' },
};

const NOT_WRITABLE: Meaning = {
  code: 'not-writable',
  what: 'cannot be written by this user',
  fix: 'name a place that can be written, or change its permissions',
};
/** Where the same refusal means something else to one who writes: /proc and /sys say ENOENT. */
const WHEN_WRITING: Readonly<Record<string, Meaning>> = {
  EACCES: NOT_WRITABLE,
  EPERM: NOT_WRITABLE,
  ENOENT: {
    code: 'not-writable',
    what: 'cannot be made there',
    fix: 'name a place in an ordinary folder that can be written',
  },
};

/** Nothing stands at the path, or a part of it is a file. */
export const isNotThere = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Whether anything stands at `path`; unlike `existsSync` it does not call a folder that may not be read empty. */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    throw systemError(cause, path, 'reading') ?? cause;
  }
}

/** Calls of the system that change something. */
const WRITING = new Set([
  'write',
  'writev',
  'mkdir',
  'rename',
  'unlink',
  'rmdir',
  'rm',
  'symlink',
  'copyfile',
  'ftruncate',
  'fsync',
  'chmod',
  'mkdtemp',
]);

/** An error of the system, as Node throws it. */
const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error &&
  !(error instanceof WhorlError) &&
  typeof (error as NodeJS.ErrnoException).code === 'string' &&
  ((error as NodeJS.ErrnoException).syscall !== undefined ||
    /^ERR_FS_FILE_TOO_LARGE$/.test((error as NodeJS.ErrnoException).code!) ||
    ((error as NodeJS.ErrnoException).code === 'ERR_INVALID_ARG_VALUE' && /'path'/.test(error.message)));

/**
 * The refusal in our words; undefined for an error that is not the system's. Errors of the network are the hub client's
 * own (sources/hub/failures.ts).
 * @param path of what is used, where the caller knows it: `write`, `read` and `fsync` do not say
 */
export function systemError(
  error: unknown,
  path?: string,
  purpose?: 'reading' | 'writing',
): WhorlError | undefined {
  if (!isSystemError(error)) return undefined;
  const { code = '', syscall = '' } = error;
  const isWriting = purpose === undefined ? WRITING.has(syscall) : purpose === 'writing';
  const isListing = code === 'ENOTDIR' && /dir$/.test(syscall);
  const meaning = isListing ? NOT_A_FOLDER : (isWriting && own(WHEN_WRITING, code)) || own(MEANINGS, code);
  const where = path ?? error.path ?? (syscall === '' ? 'a path' : `a file (${syscall})`);
  if (meaning) return new WhorlError(meaning.code, `${where} ${meaning.what}`, meaning.fix, { cause: error });
  return new WhorlError(
    'disk-error',
    `${where}: the system refuses (${code})`,
    'check the path and the disk',
    {
      cause: error,
    },
  );
}

const own = (record: Readonly<Record<string, Meaning>>, code: string): Meaning | undefined =>
  Object.hasOwn(record, code) ? record[code] : undefined;
