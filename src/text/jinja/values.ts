// Values of a chat template as Python sees them, and what may be done with them without knowing more of Python.

import { refusal } from './scan.ts';

export class Undefined {}
export const UNDEFINED = new Undefined();
export class Namespace {
  readonly entries = new Map<string, Value>();
}
/** A macro as a value: it is called and nothing else. */
export class Macro {
  constructor(readonly call: (args: readonly Value[], named: ReadonlyMap<string, Value>) => Value) {}
}
/** What `selectattr` and `rejectattr` give: Python's generator, which may be walked along once. */
export class Stream {
  #items: readonly Value[] | undefined;
  constructor(items: readonly Value[]) {
    this.#items = items;
  }
  take(): readonly Value[] {
    const items = this.#items;
    if (items === undefined) throw refusal('a selection twice');
    this.#items = undefined;
    return items;
  }
}
export type Value =
  | string
  | number
  | boolean
  | null
  | Undefined
  | Namespace
  | Macro
  | Stream
  | readonly Value[]
  | ReadonlyMap<string, Value>;

export const MAX_TEXT = 2 ** 20; // characters of a render, or of any string on the way

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isMap = (value: Value): value is ReadonlyMap<string, Value> => value instanceof Map;

export function kindOf(value: Value): string {
  if (value === null) return 'None';
  if (value instanceof Undefined) return 'an undefined value';
  if (value instanceof Namespace) return 'a namespace';
  if (value instanceof Macro) return 'a macro';
  if (value instanceof Stream) return 'a selection';
  if (isList(value)) return 'a list';
  return isMap(value) ? 'a mapping' : typeof value;
}

export function truth(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  return value instanceof Undefined ? false : Boolean(value);
}

/** `str(value)`, where that needs no knowledge of how Python prints collections. */
export function printed(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === null) return 'None';
  if (value instanceof Undefined) return '';
  throw refusal(`${kindOf(value)} as text`);
}

/** A part that may be missing; None is not missing. */
export const present = (value: Value | undefined): Value => (value === undefined ? UNDEFINED : value);

export const short = (value: string): string => {
  if (value.length > MAX_TEXT) throw refusal(`a text of more than ${MAX_TEXT} characters`);
  return value;
};

export function text(value: Value, what: string): string {
  if (typeof value !== 'string') throw refusal(`${what} of ${kindOf(value)}`);
  return value;
}

const MAX_NEEDLE = 1024; // a search for a long text in a long one can take the product of their lengths
/** What is searched for. */
export const needle = (value: Value, what: string): string => {
  if (text(value, what).length > MAX_NEEDLE)
    throw refusal(`${what} with a text of more than ${MAX_NEEDLE} characters`);
  return value as string;
};

export function integer(value: Value, what: string): number {
  if (!Number.isSafeInteger(value)) throw refusal(`${what} of ${kindOf(value)}`);
  return value as number;
}

const isScalar = (value: Value) =>
  value === null || value instanceof Undefined || ['string', 'number', 'boolean'].includes(typeof value);

/** What Python's str has by name; any other part of a text is undefined. */
const OF_TEXT: ReadonlySet<string> = new Set(
  (
    'capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii ' +
    'isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip ' +
    'maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split ' +
    'splitlines startswith strip swapcase title translate upper zfill'
  ).split(' '),
);
export function partOfText(name: string): Undefined {
  if (OF_TEXT.has(name) || name.startsWith('_')) throw refusal(`the attribute ${name} of a string`);
  return UNDEFINED;
}

/** `==`: True is 1 in Python, and an undefined value equals another one. */
export function equal(a: Value, b: Value): boolean {
  if (!isScalar(a) || !isScalar(b)) throw refusal(`"==" of ${kindOf(isScalar(a) ? b : a)}`);
  const plain = (value: Value) => (typeof value === 'boolean' ? Number(value) : value);
  return plain(a) === plain(b);
}

export function contains(whole: Value, part: Value): boolean {
  if (typeof whole === 'string') return whole.includes(needle(part, '"in"'));
  if (isMap(whole)) return whole.has(text(part, '"in"'));
  if (isList(whole)) return whole.some((entry) => equal(entry, part));
  if (whole instanceof Undefined) return false; // it is empty for whoever walks along it
  throw refusal(`"in" of ${kindOf(whole)}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: white space for Python, not for JavaScript; U+FEFF is the reverse
const SPACE = /^(?:[^\S\ufeff]|[\x1c-\x1f\x85])$/;

/** `str.strip` and its halves; `characters` is a set, as in Python. */
export function strip(value: string, sides: 'both' | 'left' | 'right', characters?: string): string {
  const set = new Set(characters);
  const goes = (point: string) => (characters === undefined ? SPACE.test(point) : set.has(point));
  const points = [...value];
  let [from, to] = [0, points.length];
  if (sides !== 'right') while (from < to && goes(points[from]!)) from++;
  if (sides !== 'left') while (to > from && goes(points[to - 1]!)) to--;
  return points.slice(from, to).join('');
}

/** Case beyond ASCII follows each language's own tables. */
export function ascii(value: string, what: string): string {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 127) throw refusal(`${what} beyond ASCII`);
  return value;
}

/** `json.dumps(value, ensure_ascii=False)`; a list may hold another many times, so the length is watched on the way. */
export function json(value: Value, left = { characters: MAX_TEXT }, depth = 0): string {
  if (depth > 32) throw refusal('tojson of something deep');
  const inner = (entry: Value) => json(entry, left, depth + 1);
  let made: string;
  if (isList(value)) made = `[${value.map(inner).join(', ')}]`;
  else if (isMap(value))
    made = `{${[...value].map(([key, entry]) => `${JSON.stringify(key)}: ${inner(entry)}`).join(', ')}}`;
  else if ([Undefined, Namespace, Macro, Stream].some((kind) => value instanceof kind))
    throw refusal(`tojson of ${kindOf(value)}`);
  else made = JSON.stringify(value);
  left.characters -= made.length;
  if (left.characters < 0) throw refusal(`tojson of more than ${MAX_TEXT} characters`);
  return made;
}

/** What plain data becomes. */
export function fromData(data: unknown): Value {
  if (data === undefined) return UNDEFINED;
  if (data === null || typeof data === 'string' || typeof data === 'boolean') return data;
  if (typeof data === 'number') return integer(data, 'a number');
  if (Array.isArray(data)) return data.map(fromData);
  return new Map(Object.entries(data as object).map(([key, value]) => [key, fromData(value)]));
}
