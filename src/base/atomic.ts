// The only place that writes files. A reader sees the old bytes or the new ones, whole, never a part:
// write to a temporary sibling, fsync it, rename it, fsync the folder.

import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { checkAborted } from './abort.ts';
import { WhorlError } from './error.ts';
import { jsonText } from './json.ts';
import { systemError } from './system-errors.ts';

const MOST_OF_NAME = 50; // a name may have 255 bytes, and the temporary one is not to be the first that is too long

const tempName = (path: string) =>
  join(dirname(path), `.${basename(path).slice(0, MOST_OF_NAME)}.tmp-${randomBytes(4).toString('hex')}`);

/** Does it, and says in our words what the system refuses. */
function writing<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw systemError(cause, path, 'writing') ?? cause;
  }
}

const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException).code;

/** File systems that cannot sync a folder (some network drives) say so; their renames are as safe as they can be. */
const NO_SYNC: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EBADF',
]);

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return; // a folder cannot be opened there; NTFS journals renames
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } catch (cause) {
    if (!NO_SYNC.has(codeOf(cause))) throw cause;
  } finally {
    closeSync(fd);
  }
}

const unfinished = new Set<string>();

/** A name that is taken away again if the process is asked to end before the work on it does. */
function begin(temp: string): string {
  unfinished.add(temp);
  return temp;
}

/** Takes away every unfinished file and folder of this process, which is about to end. */
export function discardUnfinished(): void {
  for (const temp of unfinished) giveUp(temp);
}

/** Takes away what was begun; what went wrong before is worth more than what goes wrong here. */
function giveUp(path: string): void {
  unfinished.delete(path);
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // on a disk that fails nothing can be taken away either
  }
}

/**
 * Makes a folder and those it lies in. Not Node's own recursive mkdir: where the system answers ENOENT for a folder whose
 * parent is there (/proc, /sys), that one tries again for ever.
 */
export function makeFolder(path: string, mode = 0o777): void {
  const whole = resolve(path);
  const missing: string[] = [];
  writing(whole, () => {
    let at = whole;
    for (; statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) missing.unshift(at);
    if (!statSync(at).isDirectory())
      throw new WhorlError(
        'bad-path',
        at === whole ? `${at} is a file` : `${whole} lies below a file, ${at}`,
        'name a folder',
      );
    for (const folder of missing)
      try {
        mkdirSync(folder, { mode });
      } catch (cause) {
        const isThere = codeOf(cause) === 'EEXIST' && statSync(folder, { throwIfNoEntry: false });
        if (codeOf(cause) === 'EEXIST' && !isThere)
          throw new WhorlError('bad-path', `${folder} is a link that leads nowhere`, 'mend or remove it', {
            cause,
          });
        if (!isThere) throw cause;
      }
  });
}

/**
 * Whether `path` could be written, said before hours of work: a file is made where it or the first missing folder of its
 * path would be, and taken away. Throws what writing it would throw.
 */
export function checkWritable(path: string): void {
  const whole = resolve(path);
  writing(whole, () => {
    statSync(whole, { throwIfNoEntry: false }); // a name too long, links in a circle
    let folder = dirname(whole);
    while (statSync(folder, { throwIfNoEntry: false }) === undefined) folder = dirname(folder);
    if (!statSync(folder).isDirectory())
      throw new WhorlError('bad-path', `${whole} lies below a file, ${folder}`, 'name another place');
    const probe = tempName(join(folder, 'whorl'));
    closeSync(openSync(probe, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
    rmSync(probe, { force: true });
  });
}

/** The same, and that nothing stands there but an empty folder. Throws `exists`. */
export function checkNew(path: string): void {
  const stats = writing(path, () => statSync(path, { throwIfNoEntry: false }));
  if (stats !== undefined && !(stats.isDirectory() && readdirSync(path).length === 0))
    throw new WhorlError('exists', `${path} is there already`, 'name another place or remove it');
  checkWritable(path);
}

/** A file being written beside its final name; it appears there only on `commit`. */
export class AtomicFile {
  readonly #temp: string;
  #fd: number | undefined;
  #size = 0;
  constructor(
    readonly path: string,
    mode = 0o644,
  ) {
    makeFolder(dirname(path));
    this.#temp = begin(tempName(path));
    this.#fd = writing(path, () =>
      openSync(this.#temp, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode),
    );
  }
  get size(): number {
    return this.#size;
  }
  /** Appends, or with `position` overwrites bytes already written. */
  write(bytes: Uint8Array, position?: number): void {
    writing(this.path, () => {
      let at = 0;
      while (at < bytes.length)
        at += writeSync(
          this.#fd!,
          bytes,
          at,
          bytes.length - at,
          position === undefined ? this.#size + at : position + at,
        );
    });
    this.#size = Math.max(this.#size, (position ?? this.#size) + bytes.length);
  }
  commit(): void {
    writing(this.path, () => {
      fsyncSync(this.#fd!);
      this.#close();
      try {
        renameSync(this.#temp, this.path);
      } catch (cause) {
        giveUp(this.#temp);
        throw cause;
      }
      unfinished.delete(this.#temp);
      syncFolder(dirname(this.path));
    });
  }
  /** Gives the file up; does nothing after `commit`. */
  discard(): void {
    if (this.#fd === undefined) return;
    try {
      this.#close();
    } finally {
      giveUp(this.#temp);
    }
  }
  #close(): void {
    const fd = this.#fd!;
    this.#fd = undefined;
    closeSync(fd);
  }
}

/** Writes a whole file atomically. Text is UTF-8. */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode = 0o644): void {
  const file = new AtomicFile(path, mode);
  try {
    file.write(typeof data === 'string' ? new TextEncoder().encode(data) : data);
    file.commit();
  } finally {
    file.discard();
  }
}

export const writeJsonAtomic = (path: string, value: unknown, mode = 0o644): void =>
  writeFileAtomic(path, jsonText(value), mode);

/** A private file that a child process writes its own words to, after those that are there. @returns its descriptor, to be closed */
export const openLog = (path: string): number => writing(path, () => openSync(path, 'a', 0o600));

/** Copies a file's bytes (not its links or mode) atomically. */
export function copyFileAtomic(from: string, to: string): void {
  const temp = begin(tempName(to));
  makeFolder(dirname(to));
  accessSync(from, constants.R_OK); // what cannot be read is said of `from`, all else of `to`
  try {
    writing(to, () => {
      copyFileSync(from, temp, constants.COPYFILE_EXCL);
      const fd = openSync(temp, 'r+');
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temp, to);
      syncFolder(dirname(to));
    });
  } finally {
    giveUp(temp);
  }
}

/**
 * Builds a folder beside its final name with `build(temporary)` and renames it into place when that returns:
 * at every moment the folder is absent or complete. Throws `exists` where a file or a non-empty folder stands already.
 */
export async function writeFolderAtomic(
  given: string,
  build: (folder: string) => Promise<void> | void,
  mode = 0o755,
): Promise<void> {
  const path = resolve(given); // `new/../x` needs no `new`
  const temp = begin(tempName(path));
  makeFolder(dirname(path));
  writing(path, () => mkdirSync(temp, { mode }));
  try {
    await build(temp);
    checkAborted();
    writing(path, () => syncFolder(temp));
    moveFolder(temp, path);
  } finally {
    giveUp(temp);
  }
}

/** The same for a folder that its name says all about, in a cache: where another process was faster, its folder stays. */
export async function writeFolderOnce(
  path: string,
  build: (folder: string) => Promise<void> | void,
): Promise<void> {
  try {
    await writeFolderAtomic(path, build);
  } catch (cause) {
    if (!(cause instanceof WhorlError && cause.code === 'exists')) throw cause;
  }
}

/**
 * A file that comes in parts and outlives its process: what is in `path` when it is opened is kept, more is appended,
 * and only `commit` gives it its final name. Whoever opens one that was left behind must check what it holds.
 */
export class PartialFile {
  #fd: number | undefined;
  #size: number;
  constructor(
    readonly path: string,
    mode = 0o644,
  ) {
    makeFolder(dirname(path));
    const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    this.#fd = writing(path, () => openSync(path, flags, mode));
    this.#size = fstatSync(this.#fd).size;
  }
  get size(): number {
    return this.#size;
  }
  append(bytes: Uint8Array): void {
    writing(this.path, () => {
      for (let at = 0; at < bytes.length; ) {
        const wrote = writeSync(this.#fd!, bytes, at, bytes.length - at, this.#size);
        at += wrote;
        this.#size += wrote;
      }
    });
  }
  /** What is there already, in pieces; the buffer is used again for the next one. */
  *chunks(): Generator<Uint8Array> {
    const buffer = new Uint8Array(1 << 20);
    for (let at = 0; at < this.#size; ) {
      const got = readSync(this.#fd!, buffer, 0, Math.min(buffer.length, this.#size - at), at);
      if (got === 0) return;
      at += got;
      yield buffer.subarray(0, got);
    }
  }
  /** Bytes of what was appended. Fewer where the file has been cut by another. */
  read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let got = 0;
    for (let more = 1; got < length && more > 0; got += more)
      more = readSync(this.#fd!, bytes, got, length - got, at + got);
    return bytes.subarray(0, got);
  }
  /** All that is there already. */
  whole(): Buffer {
    const parts: Buffer[] = [];
    for (const chunk of this.chunks()) parts.push(Buffer.from(chunk)); // a copy: its memory is used again
    return Buffer.concat(parts);
  }
  clear(): void {
    this.cut(0);
  }
  /** Keeps the first `size` bytes. */
  cut(size: number): void {
    ftruncateSync(this.#fd!, size);
    this.#size = size;
  }
  /** What was appended so far outlives the machine, not the process alone. */
  sync(): void {
    writing(this.path, () => fsyncSync(this.#fd!));
  }
  /** Its final name. Where another process was faster, its file stays: others may have mapped it already. */
  commit(to: string): void {
    writing(to, () => {
      fsyncSync(this.#fd!);
      this.close();
      if (existsSync(to)) rmSync(this.path, { force: true });
      else renameSync(this.path, to);
      syncFolder(dirname(to));
    });
  }
  /** Leaves the file for the next one who opens it. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
  discard(): void {
    this.close();
    rmSync(this.path, { force: true });
  }
}

/** What a rename answers where something stands already: a folder that is not empty, a file. */
const STANDS: ReadonlySet<string | undefined> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

/** Gives a finished folder its final name; throws `exists` where a file or a non-empty folder stands already. */
export function moveFolder(from: string, to: string): void {
  writing(to, () => {
    try {
      renameSync(from, to);
    } catch (cause) {
      if (!STANDS.has(codeOf(cause))) throw cause;
      throw new WhorlError('exists', `${to} exists already`, 'name another folder or remove it', { cause });
    }
    syncFolder(dirname(to));
    syncFolder(dirname(from));
  });
}

/** Renames, unless `from` is gone: of several who try, one succeeds. */
export function takeFile(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return false;
    throw systemError(cause, to, 'writing') ?? cause;
  }
}

/** A file that appears whole, unless one stands there already: of several who try, one succeeds. */
export function createFile(path: string, text: string, mode = 0o600): boolean {
  makeFolder(dirname(path));
  const temp = begin(tempName(path));
  try {
    return writing(path, () => {
      const fd = openSync(temp, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
      try {
        writeSync(fd, text);
      } finally {
        closeSync(fd);
      }
      try {
        linkSync(temp, path);
        return true;
      } catch (cause) {
        if (codeOf(cause) === 'EEXIST') return false;
        throw cause;
      }
    });
  } finally {
    giveUp(temp);
  }
}

const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Whether `linkAtomic` failed because this file system, or this user on Windows, has no symbolic links. */
export const hasNoLinks = (cause: unknown): boolean => NO_LINKS.has(codeOf(cause));

/** A symbolic link that replaces what stands at `path` in one step. What the system throws where it has no links. */
export function linkAtomic(target: string, path: string): void {
  makeFolder(dirname(path));
  const temp = tempName(path);
  try {
    try {
      symlinkSync(target, temp);
    } catch (cause) {
      if (hasNoLinks(cause)) throw cause;
      throw systemError(cause, path, 'writing') ?? cause;
    }
    writing(path, () => {
      renameSync(temp, path);
      syncFolder(dirname(path));
    });
  } finally {
    giveUp(temp);
  }
}
