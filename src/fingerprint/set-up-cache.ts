// What a run computes before it trains and what is a function of the model alone (free rows, hidden states of the
// reference text), kept in the cache folder under the digest of all that it is made from. A file that is damaged, or of
// anything else, is as good as none; a cache that cannot be written costs time, never the run.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { arch, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { AtomicFile } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { SOFTWARE } from '../base/software.ts';
import type { Device } from '../engine/session.ts';
import { engineInfo } from '../engine/session-info.ts';
import { cacheFolder } from '../models/open-model.ts';
import { withReader } from '../sources/bounded-reader.ts';
import { filesBesideWeights } from '../sources/checkpoints/carried.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { sourceFolder } from '../sources/checkpoints/folder.ts';

/** Raise it when what is kept changes its meaning: the code is part of what it is made from. */
const FORMAT = 3;
const MAGIC = 'WHORLSU1';
/** The newest files that stay: a model has two, of some tens of megabytes. */
const MOST_FILES = 16;

/** Numbers by name, and what is no number. */
export interface Kept {
  readonly arrays: Readonly<Record<string, Float32Array>>;
  readonly extra: unknown;
}

interface Header {
  readonly key: string;
  readonly arrays: readonly (readonly [name: string, length: number])[];
  readonly extra: unknown;
}

export class SetUpCache {
  readonly #folder: string;
  readonly #onEvent: OnEvent;
  constructor(cacheDir?: string, onEvent: OnEvent = silent) {
    this.#folder = join(resolve(cacheDir ?? cacheFolder()), 'set-up');
    this.#onEvent = onEvent;
  }

  /**
   * What `make` gives, from an earlier run where it is of the same parts.
   * @param parts everything that the result is a function of, as JSON
   */
  async of(name: string, parts: readonly unknown[], make: () => Promise<Kept>): Promise<Kept> {
    const key = createHash('sha256')
      .update(JSON.stringify([FORMAT, SOFTWARE, name, ...parts]))
      .digest('hex');
    const path = join(this.#folder, `${name}-${key}.bin`);
    const known = read(path, key);
    if (known) {
      this.#onEvent({ kind: 'note', text: `${name} of an earlier run, from ${path}` });
      return known;
    }
    const made = await make();
    try {
      write(path, key, made);
      this.#sweep(path);
    } catch (cause) {
      if (!(cause instanceof WhorlError)) throw cause;
      this.#onEvent({ kind: 'note', text: `${name} is not kept for the next run: ${cause.message}` });
    }
    return made;
  }

  #sweep(own: string): void {
    const files = readdirSync(this.#folder)
      .filter((name) => name.endsWith('.bin'))
      .map((name) => join(this.#folder, name))
      .map((path) => ({ path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .filter(({ path }) => path !== own)
      .sort((a, b) => b.at - a.at);
    for (const { path } of files.slice(MOST_FILES - 1)) rmSync(path, { force: true });
  }
}

const bytesOf = (data: Float32Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Magic, the sha256 of all that follows, the header's length, the header, the arrays. Private: an owner's text may be in it. */
function write(path: string, key: string, { arrays, extra }: Kept): void {
  const entries = Object.entries(arrays);
  const header: Header = { key, arrays: entries.map(([name, data]) => [name, data.length]), extra };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const parts = [length, json, ...entries.map(([, data]) => bytesOf(data))];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const file = new AtomicFile(path, 0o600);
  try {
    for (const part of [Buffer.from(MAGIC), hash.digest(), ...parts]) file.write(part);
    file.commit();
  } finally {
    file.discard();
  }
}

const START = MAGIC.length + 32;

/** Undefined for a file that is not there, not whole, or of something else. */
function read(path: string, key: string): Kept | undefined {
  try {
    return withReader(path, (reader) => {
      if (Buffer.from(reader.bytes(MAGIC.length, 'magic')).toString('latin1') !== MAGIC) return undefined;
      const sha256 = Buffer.from(reader.bytes(32, 'digest'));
      const hash = createHash('sha256');
      for (const chunk of reader.chunks(START, reader.size - START)) hash.update(chunk);
      if (!hash.digest().equals(sha256)) return undefined;
      reader.position = START;
      const length = reader.u32('header length');
      const header = JSON.parse(Buffer.from(reader.bytes(length, 'header')).toString('utf8')) as Header;
      if (header.key !== key) return undefined;
      const arrays: Record<string, Float32Array> = {};
      let at = START + 4 + length;
      for (const [name, count] of header.arrays) {
        const data = new Float32Array(count);
        if (count > 0) reader.readInto(bytesOf(data), at);
        arrays[name] = data;
        at += data.byteLength;
      }
      return { arrays, extra: header.extra };
    });
  } catch {
    return undefined;
  }
}

/** Digests of every file beside the weights: what a tokenizer is a function of. */
export const smallFiles = (folder: string): readonly (readonly [name: string, sha256: string])[] =>
  filesBesideWeights(sourceFolder(folder)).map(([name, path]) => [name, digestFile(path)] as const);

/** What the last bits of a result may depend on beside weights and text. */
export const computedBy = ({ provider, threads, precision }: Device): readonly unknown[] => [
  engineInfo().version,
  arch(),
  cpus()[0]?.model ?? '',
  provider,
  threads ?? null,
  precision ?? null,
];
