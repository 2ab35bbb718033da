// JSON as Python's `json` reads it: NaN and the infinities are numbers, integers keep every digit, of a key that stands
// twice the last counts. Most text has none of these and goes to the engine's own, faster parser.

import { exactInteger } from './row.ts';

const MAX_DEPTH = 900; // CPython's own parser ends at its recursion limit, 1000
const SPECIAL = /NaN|Infinity|\d{16}/;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
/** As far as its end is; what may stand between the quotes JSON.parse judges. */
const STRING = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const SPACE = /[ \t\n\r]*/y;
const WORDS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
];

/** Integers beyond 2^53 are bigint. Throws SyntaxError naming a position, as `JSON.parse` does. */
export const parsePythonJson = (text: string): unknown =>
  SPECIAL.test(text) ? new Parser(text).all() : (JSON.parse(text) as unknown);

/** The same where integers are numbers like any other, as a config's are. */
export function parsePythonConfig(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    if (!SPECIAL.test(text)) throw cause;
    return new Parser(text, Number).all();
  }
}

/** Values one after another, with or without white space between them: what printed objects put together make. */
export const parseJsonSequence = (text: string): unknown[] => new Parser(text).sequence();

class Parser {
  #at = 0;
  constructor(
    private readonly text: string,
    private readonly integer: (digits: string) => unknown = (digits) => exactInteger(BigInt(digits)),
  ) {}

  all(): unknown {
    const value = this.#value(0);
    this.#take(SPACE);
    if (this.#at < this.text.length) throw this.#fault();
    return value;
  }

  sequence(): unknown[] {
    const values: unknown[] = [];
    for (this.#take(SPACE); this.#at < this.text.length; this.#take(SPACE)) values.push(this.#value(0));
    return values;
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#fault('nested too deep');
    this.#take(SPACE);
    const start = this.text[this.#at];
    if (start === '"') return this.#string();
    if (start === '{') return this.#object(depth);
    if (start === '[') return this.#array(depth);
    for (const [word, value] of WORDS)
      if (this.text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    const number = this.#take(NUMBER);
    if (number === undefined) throw this.#fault();
    return /[.eE]/.test(number) ? Number(number) : this.integer(number);
  }

  #object(depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (let next = this.#open('}'); next; next = this.#next('}')) {
      this.#take(SPACE);
      const key = this.#string();
      this.#take(SPACE);
      this.#expect(':');
      entries.push([key, this.#value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #array(depth: number): unknown[] {
    const items: unknown[] = [];
    for (let next = this.#open(']'); next; next = this.#next(']')) items.push(this.#value(depth + 1));
    return items;
  }

  /** Past the opening bracket; false where the closing one follows at once. */
  #open(close: string): boolean {
    this.#at++;
    this.#take(SPACE);
    return !this.#skip(close);
  }

  /** Past a comma; false at the closing bracket. */
  #next(close: string): boolean {
    this.#take(SPACE);
    if (this.#skip(close)) return false;
    this.#expect(',');
    return true;
  }

  #string(): string {
    const at = this.#at;
    const raw = this.#take(STRING);
    if (raw === undefined) throw this.#fault();
    try {
      return JSON.parse(raw) as string;
    } catch {
      this.#at = at;
      throw this.#fault();
    }
  }

  #expect(sign: string): void {
    if (!this.#skip(sign)) throw this.#fault();
  }

  #skip(sign: string): boolean {
    if (this.text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fault(why = 'unexpected text'): SyntaxError {
    return new SyntaxError(`${why} at position ${this.#at}`);
  }
}
