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

/**
 * The text of an object in which some keys have other values, within an object of both only such as differ; all else
 * stays as it was written (`NaN`, `1.0`, 20 digits), which what is parsed no longer tells. Throws SyntaxError.
 */
export function changedJsonText(text: string, changes: Readonly<Record<string, unknown>>): string {
  const { members, end } = new Parser(text).members();
  let changed = text;
  const added: string[] = [];
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const places = Object.entries(changes).map(([key, value]) => ({ key, value, place: members.get(key) }));
  for (const { key, value, place } of places.sort((a, b) => (b.place?.from ?? -1) - (a.place?.from ?? -1))) {
    if (!place) {
      added.push(`${JSON.stringify(key)}: ${JSON.stringify(value)}`);
      continue;
    }
    const old = text.slice(place.from, place.to);
    const was = parsePythonConfig(old);
    const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
    const written =
      isRecord(was) && isRecord(value)
        ? changedJsonText(
            old,
            Object.fromEntries(Object.entries(value).filter(([inner, now]) => !same(now, was[inner]))),
          )
        : JSON.stringify(value);
    changed = changed.slice(0, place.from) + written + changed.slice(place.to);
  }
  if (added.length === 0) return changed;
  const close = end + changed.length - text.length;
  const [head, space] = [changed.slice(0, close).trimEnd(), /\n *$/.exec(changed.slice(0, close))?.[0]];
  const before = space === undefined ? (members.size === 0 ? '' : ' ') : `${space}  `;
  const list = added.map((member) => before + member).join(',');
  return `${head}${members.size === 0 ? '' : ','}${list}${space ?? ''}${changed.slice(close)}`;
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

  /** Where an object's values stand, by key, and its closing bracket. */
  members(): { members: ReadonlyMap<string, { from: number; to: number }>; end: number } {
    const members = new Map<string, { from: number; to: number }>();
    this.#take(SPACE);
    if (this.text[this.#at] !== '{') throw this.#fault();
    for (let next = this.#open('}'); next; next = this.#next('}')) {
      const key = this.#key();
      this.#take(SPACE);
      const from = this.#at;
      this.#value(1);
      members.set(key, { from, to: this.#at });
    }
    return { members, end: this.#at - 1 };
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
      const key = this.#key();
      entries.push([key, this.#value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #key(): string {
    this.#take(SPACE);
    const key = this.#string();
    this.#take(SPACE);
    this.#expect(':');
    return key;
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
