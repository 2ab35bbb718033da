// The only place that writes files. A reader sees the old bytes or the new ones, whole, never a part:
// write to a temporary sibling, fsync it, rename it, fsync the folder.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

const tempName = (path: string) =>
  join(dirname(path), `.${basename(path)}.tmp-${randomBytes(4).toString('hex')}`);

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return; // a folder cannot be opened there; NTFS journals renames
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
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
    mkdirSync(dirname(path), { recursive: true });
    this.#temp = tempName(path);
    this.#fd = openSync(this.#temp, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  }
  get size(): number {
    return this.#size;
  }
  /** Appends, or with `position` overwrites bytes already written. */
  write(bytes: Uint8Array, position?: number): void {
    let at = 0;
    while (at < bytes.length)
      at += writeSync(
        this.#fd!,
        bytes,
        at,
        bytes.length - at,
        position === undefined ? this.#size + at : position + at,
      );
    this.#size = Math.max(this.#size, (position ?? this.#size) + bytes.length);
  }
  commit(): void {
    fsyncSync(this.#fd!);
    this.#close();
    renameSync(this.#temp, this.path);
    syncFolder(dirname(this.path));
  }
  /** Gives the file up; does nothing after `commit`. */
  discard(): void {
    if (this.#fd === undefined) return;
    this.#close();
    rmSync(this.#temp, { force: true });
  }
  #close(): void {
    closeSync(this.#fd!);
    this.#fd = undefined;
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
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, mode);

/** Copies a file's bytes (not its links or mode) atomically. */
export function copyFileAtomic(from: string, to: string): void {
  const temp = tempName(to);
  mkdirSync(dirname(to), { recursive: true });
  try {
    copyFileSync(from, temp, constants.COPYFILE_EXCL);
    const fd = openSync(temp, 'r+');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temp, to);
    syncFolder(dirname(to));
  } finally {
    rmSync(temp, { force: true });
  }
}

/**
 * Builds a folder beside its final name with `build(temporary)` and renames it into place when that returns:
 * at every moment the folder is absent or complete. Throws ENOTEMPTY where a non-empty folder stands already.
 */
export async function writeFolderAtomic(
  path: string,
  build: (folder: string) => Promise<void> | void,
  mode = 0o755,
): Promise<void> {
  const temp = tempName(path);
  mkdirSync(temp, { recursive: true, mode });
  try {
    await build(temp);
    syncFolder(temp);
    renameSync(temp, path);
    syncFolder(dirname(path));
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

/**
 * A file that comes in parts and outlives its process: what is in `path` when it is opened is kept, more is appended,
 * and only `commit` gives it its final name. Whoever opens one that was left behind must check what it holds.
 */
export class PartialFile {
  #fd: number | undefined;
  #size: number;
  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    this.#fd = openSync(path, flags, 0o644);
    this.#size = fstatSync(this.#fd).size;
  }
  get size(): number {
    return this.#size;
  }
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const wrote = writeSync(this.#fd!, bytes, at, bytes.length - at, this.#size);
      at += wrote;
      this.#size += wrote;
    }
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
  clear(): void {
    ftruncateSync(this.#fd!, 0);
    this.#size = 0;
  }
  /** Its final name. Where another process was faster, its file stays: others may have mapped it already. */
  commit(to: string): void {
    fsyncSync(this.#fd!);
    this.close();
    if (existsSync(to)) rmSync(this.path, { force: true });
    else renameSync(this.path, to);
    syncFolder(dirname(to));
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

/** Gives a finished folder its final name beside the old one; throws ENOTEMPTY where a non-empty one stands already. */
export function moveFolder(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  syncFolder(dirname(from));
}

/** Renames, unless `from` is gone: of several who try, one succeeds. */
export function takeFile(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw cause;
  }
}

/** A symbolic link that replaces what stands at `path` in one step. Throws EPERM where the system has no links. */
export function linkAtomic(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temp = tempName(path);
  try {
    symlinkSync(target, temp);
    renameSync(temp, path);
    syncFolder(dirname(path));
  } finally {
    rmSync(temp, { force: true });
  }
}
