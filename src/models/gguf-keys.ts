// The keys of one architecture in a GGUF file, checked as they are read.

import { WhorlError } from '../base/error.ts';
import type { GgufFile, GgufValue } from '../sources/checkpoints/gguf.ts';

/** What is read of a file, or of all parts of one. */
export type GgufHeader = Pick<GgufFile, 'path' | 'metadata' | 'tensors'>;

/** Of `<architecture>.<key>`. */
export class GgufKeys {
  readonly file: GgufHeader;
  readonly architecture: string;
  constructor(file: GgufHeader, architecture: string) {
    this.file = file;
    this.architecture = architecture;
  }

  get(key: string): GgufValue | undefined {
    return this.file.metadata.get(`${this.architecture}.${key}`);
  }

  /** A whole number from 1. @throws WhorlError `bad-file` */
  count(key: string): number {
    const value = this.get(key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 2 ** 31)
      throw this.bad(`${this.#said(key)} not a count`);
    return value;
  }

  /** Absent: undefined. */
  optionalCount(key: string): number | undefined {
    return this.get(key) === undefined ? undefined : this.count(key);
  }

  positive(key: string): number {
    const value = this.get(key);
    if (typeof value !== 'number' || !(value > 0) || value === Number.POSITIVE_INFINITY)
      throw this.bad(`${this.#said(key)} not a positive number`);
    return shortest(value);
  }

  flag(key: string): boolean {
    const value = this.get(key);
    if (typeof value !== 'boolean') throw this.bad(`${this.#said(key)} not true or false`);
    return value;
  }

  /** The key must be one that `known` holds, or be off. @throws WhorlError `unsupported`, naming it */
  only(known: ReadonlySet<string>): void {
    const prefix = `${this.architecture}.`;
    for (const [key, value] of this.file.metadata)
      if (key.startsWith(prefix) && !known.has(key.slice(prefix.length)) && !isOff(value))
        throw new WhorlError(
          'unsupported',
          `${this.file.path}: the key ${key} is not handled`,
          'use another conversion',
        );
  }

  bad(message: string): WhorlError {
    return new WhorlError('bad-file', `${this.file.path}: ${message}`);
  }

  #said(key: string): string {
    return `${this.architecture}.${key} is ${this.get(key) === undefined ? 'missing' : shown(this.get(key))},`;
  }
}

/** A switch that is off, or a count of none, of something we do not know. */
const isOff = (value: GgufValue): boolean => value === 0 || value === false;

/** The shortest decimal that is the same float32: GGUF stores 1e-5 as 9.999999747378752e-6. */
export function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** A value, short enough for a message; whole numbers beyond 2^53 are no JSON. */
const shown = (value: GgufValue | undefined): string =>
  (Array.isArray(value) ? 'a list' : JSON.stringify(String(value))).slice(0, 40);
