// Reads one regular file in bounds: every length is compared with the bytes that are there before
// anything is allocated, and the file's identity is taken from the descriptor that is read.

// eslint-disable-next-line no-restricted-imports -- opened for reading only; base/atomic.ts owns writing
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { systemError } from '../base/system-errors.ts';

const WINDOW = 64 * 1024; // small reads (a GGUF header has a million) go through one buffer of this size
const CHUNK = 4 * 1024 * 1024;

/** What must stay the same for a mapped file to be the same file. */
const identityOf = (s: BigIntStats): string => `${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}`;

/** Device, inode, size and modification time of the file at `path`, or undefined where there is none. */
export function fileIdentity(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && identityOf(stats);
}

/** Little-endian reader over one file. `name` is what messages call it; `close` when done. */
export class BoundedReader {
  readonly size: number;
  readonly identity: string;
  position = 0;
  readonly #fd: number;
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #windowAt = 0;

  /** Throws `missing-file` where nothing stands, `bad-file` for folders, devices and pipes. */
  constructor(
    readonly path: string,
    readonly name: string = path,
  ) {
    const before = look(path, name);
    if (!before.isFile()) throw irregular(name);
    this.#fd = openForReading(path, name);
    const stats = fstatSync(this.#fd, { bigint: true });
    if (!stats.isFile()) {
      closeSync(this.#fd);
      throw irregular(name);
    }
    this.size = Number(stats.size);
    this.identity = identityOf(stats);
  }

  get left(): number {
    return this.size - this.position;
  }

  /** Throws unless `length` more bytes are in the file. */
  need(length: number, what: string): void {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.left)
      throw new WhorlError(
        'bad-file',
        `${this.name}: ${what} needs ${length} bytes at ${this.position}, but the file ends after ${this.left}`,
        'the file is truncated or damaged; fetch it again',
      );
  }

  /** The next `length` bytes, in a buffer of their own. */
  bytes(length: number, what: string): Uint8Array {
    this.need(length, what);
    const out = new Uint8Array(length);
    this.#fill(out, this.position);
    this.position += length;
    return out;
  }

  /** Like `bytes`, but a view that the next read may overwrite: cheap for a million short strings. */
  shortBytes(length: number, what: string): Uint8Array {
    if (length > WINDOW) return this.bytes(length, what);
    const view = this.#small(length, what);
    return new Uint8Array(view.buffer, view.byteOffset, length);
  }

  u8(what: string): number {
    return this.#small(1, what).getUint8(0);
  }
  i8(what: string): number {
    return this.#small(1, what).getInt8(0);
  }
  u16(what: string): number {
    return this.#small(2, what).getUint16(0, true);
  }
  i16(what: string): number {
    return this.#small(2, what).getInt16(0, true);
  }
  u32(what: string): number {
    return this.#small(4, what).getUint32(0, true);
  }
  i32(what: string): number {
    return this.#small(4, what).getInt32(0, true);
  }
  f32(what: string): number {
    return this.#small(4, what).getFloat32(0, true);
  }
  f64(what: string): number {
    return this.#small(8, what).getFloat64(0, true);
  }
  u64(what: string): bigint {
    return this.#small(8, what).getBigUint64(0, true);
  }
  i64(what: string): bigint {
    return this.#small(8, what).getBigInt64(0, true);
  }

  /** A uint64 that counts things of at least `each` bytes: more than the file can hold is refused. */
  count(each: number, what: string): number {
    const value = this.u64(what);
    if (value * BigInt(each) > BigInt(this.left))
      throw new WhorlError(
        'bad-file',
        `${this.name}: ${what} says ${value}, more than the ${this.left} bytes left can hold`,
        'the file is truncated or damaged; fetch it again',
      );
    return Number(value);
  }

  /** Streams `length` bytes from `offset`. The chunk's buffer is used again for the next one. */
  *chunks(offset: number, length: number, chunk = CHUNK): Generator<Uint8Array> {
    this.position = offset;
    this.need(length, 'a range');
    const buffer = new Uint8Array(Math.min(chunk, length));
    for (let at = 0; at < length; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, length - at));
      this.#fill(part, offset + at);
      yield part;
    }
  }

  /** Fills `out` from `offset`, which moves no position. */
  readInto(out: Uint8Array, offset: number): void {
    if (offset < 0 || offset + out.length > this.size)
      throw new WhorlError(
        'bad-file',
        `${this.name}: bytes ${offset} to ${offset + out.length} lie outside the file`,
      );
    this.#fill(out, offset);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #small(length: number, what: string): DataView<ArrayBuffer> {
    this.need(length, what);
    const start = this.position - this.#windowAt;
    if (start < 0 || start + length > this.#window.length) {
      this.#window = new Uint8Array(Math.min(WINDOW, this.left));
      this.#windowAt = this.position;
      this.#fill(this.#window, this.position);
    }
    const view = new DataView(this.#window.buffer, this.position - this.#windowAt, length);
    this.position += length;
    return view;
  }

  #fill(out: Uint8Array, offset: number): void {
    for (let at = 0; at < out.length; ) {
      const got = readSync(this.#fd, out, at, out.length - at, offset + at);
      if (got === 0) throw new WhorlError('changed', `${this.name} became shorter while it was read`);
      at += got;
    }
  }
}

/** Opens, calls, closes. */
export function withReader<T>(path: string, use: (reader: BoundedReader) => T, name = path): T {
  const reader = new BoundedReader(path, name);
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

const irregular = (name: string): WhorlError =>
  new WhorlError(
    'bad-file',
    `${name} is not a regular file`,
    'give a file: what a pipe brings must be saved first',
  );

function look(path: string, name: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
  } catch (cause) {
    throw unreadable(cause, name);
  }
}

function openForReading(path: string, name: string): number {
  try {
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // a pipe put in its place must not hang us
  } catch (cause) {
    throw unreadable(cause, name);
  }
}

function unreadable(cause: unknown, name: string): WhorlError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new WhorlError('missing-file', `${name} does not exist`, 'check the path');
  return (
    systemError(cause, name, 'reading') ??
    new WhorlError('bad-file', `${name} cannot be read`, undefined, { cause })
  );
}
