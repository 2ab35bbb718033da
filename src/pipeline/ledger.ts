// pipeline.json in a run folder: which files are whole, and what each was made from. A file that is not named here, or
// was made from something else, is made again.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { readJsonObject } from '../sources/strict-json.ts';

interface Entry {
  /** Digest of what it was made from. */
  readonly of: string;
  /** SHA-256 of the file; absent for a folder. */
  readonly sha256?: string;
}

const FORMAT = 'whorl-pipeline';

export const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex');

const digestOfFile = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

export class Ledger {
  readonly #path: string;
  #entries: Record<string, Entry>;
  constructor(readonly run: string) {
    this.#path = join(run, 'pipeline.json');
    const saved = existsSync(this.#path) ? readJsonObject(this.#path, this.#path) : {};
    this.#entries = saved.format === FORMAT ? { ...(saved.files as Record<string, Entry>) } : {};
  }

  /** What an entry was made from. */
  madeFrom(name: string): string | undefined {
    return Object.hasOwn(this.#entries, name) ? this.#entries[name]!.of : undefined;
  }

  isNamed(name: string): boolean {
    return Object.hasOwn(this.#entries, name);
  }

  /** A file that is there as it was written, and made from this. */
  isWhole(name: string, of: string): boolean {
    const path = join(this.run, name);
    return (
      this.madeFrom(name) === of && existsSync(path) && this.#entries[name]!.sha256 === digestOfFile(path)
    );
  }

  /** Notes a file just written, or a folder that is about to be made. */
  note(name: string, of: string, isFolder = false): void {
    const entry = isFolder ? { of } : { of, sha256: digestOfFile(join(this.run, name)) };
    const entries = Object.entries({ ...this.#entries, [name]: entry });
    this.#entries = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    writeJsonAtomic(this.#path, { format: FORMAT, version: 1, files: this.#entries }, 0o600);
  }
}
