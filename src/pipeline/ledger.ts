// pipeline.json in a run folder: which files are whole, and what each was made from, by name. A file that is not named
// here, is not as it was written, or was made from something else, is made again.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { sha256Hex } from '../base/sha256.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { readJsonObject } from '../sources/strict-json.ts';

/** What a product is made from, each thing under the name by which a person knows it. JSON values, fields in one order. */
export type MadeFrom = Readonly<Record<string, unknown>>;

interface Entry {
  /** SHA-256 of each thing it was made from. */
  readonly from: Readonly<Record<string, string>>;
  /** SHA-256 of a file; of a folder the digest that its maker gave, null while it is made. */
  readonly made: string | null;
}

const FORMAT = 'whorl-pipeline';
const VERSION = 2;

const digestOf = (value: unknown): string => sha256Hex(JSON.stringify(value));

export class Ledger {
  readonly #path: string;
  #entries: Readonly<Record<string, Entry>>;
  constructor(readonly run: string) {
    this.#path = join(run, 'pipeline.json');
    const saved = existsSync(this.#path) ? readJsonObject(this.#path, this.#path) : {};
    const isKnown = saved.format === FORMAT && saved.version === VERSION;
    this.#entries = isKnown ? { ...(saved.files as Record<string, Entry>) } : {};
  }

  #entry(name: string): Entry | undefined {
    return Object.hasOwn(this.#entries, name) ? this.#entries[name] : undefined;
  }

  /** The names of what is another thing now; undefined for a product that is not named here. */
  differences(name: string, from: MadeFrom): string[] | undefined {
    const entry = this.#entry(name);
    if (!entry) return undefined;
    const names = new Set([...Object.keys(entry.from), ...Object.keys(from)]);
    return [...names].filter((what) => entry.from[what] !== digestOf(from[what] ?? null)).sort();
  }

  /** A file that is there as it was written, and made from this. */
  isWhole(name: string, from: MadeFrom): boolean {
    const path = join(this.run, name);
    return (
      this.differences(name, from)?.length === 0 &&
      existsSync(path) &&
      this.#entry(name)!.made === digestFile(path)
    );
  }

  /** The digest of a folder when it was made; null where it was only about to be. */
  madeFolder(name: string): string | null {
    return this.#entry(name)?.made ?? null;
  }

  /** Notes a file just written. */
  note(name: string, from: MadeFrom): void {
    this.noteFolder(name, from, digestFile(join(this.run, name)));
  }

  /** Notes a folder: before it is made, with null, and after. */
  noteFolder(name: string, from: MadeFrom, made: string | null): void {
    const digests = Object.entries(from).map(([what, value]) => [what, digestOf(value ?? null)]);
    this.#write({ ...this.#entries, [name]: { from: Object.fromEntries(digests), made } });
  }

  /** Takes away a file that is not whole: nobody shall read it as an answer about what is there now. */
  drop(name: string): void {
    rmSync(join(this.run, name), { force: true });
    if (!this.#entry(name)) return;
    const { [name]: _, ...rest } = this.#entries;
    this.#write(rest);
  }

  #write(entries: Readonly<Record<string, Entry>>): void {
    this.#entries = Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeJsonAtomic(this.#path, { format: FORMAT, version: VERSION, files: this.#entries }, 0o600);
  }
}
