// What stands between `{{` and `}}` in a task's file: the part of Jinja that tasks use, over a row's own values. Nothing
// else of a row or of the process can be reached from it.

import { nameHint } from '../base/near-name.ts';
import { rstrip, strip } from '../base/python-space.ts';
import { truthText } from './python-text.ts';

/** A value of a row: text, number, boolean, null, list or object. */
type Value = unknown;
export type Scope = Readonly<Record<string, Value>>;
type Evaluate = (scope: Scope) => Value;

/** What a template or a row says that the other cannot take; the caller names the file and the row. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}

/** A row without a column that a template names. */
export class MissingColumn extends ExpressionError {
  constructor(readonly column: string) {
    super(`has no column ${JSON.stringify(column)}`);
  }
}

const TOKEN = /\s*(?:(\d+)|([A-Za-z_]\w*)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|([-+.,:|=()[\]]))/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '\\': '\\', "'": "'", '"': '"' };

interface Token {
  readonly kind: 'number' | 'name' | 'text' | 'sign';
  readonly text: string;
}

function tokens(source: string): Token[] {
  const out: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(source);
    if (!found) throw new ExpressionError(`cannot read ${JSON.stringify(source.slice(at, at + 24))}`);
    const [, number, name, text, sign] = found;
    if (number !== undefined) out.push({ kind: 'number', text: number });
    else if (name !== undefined) out.push({ kind: 'name', text: name });
    else if (text !== undefined)
      out.push({
        kind: 'text',
        text: text.slice(1, -1).replace(/\\(.)/gs, (whole, char: string) => ESCAPES[char] ?? whole),
      });
    else out.push({ kind: 'sign', text: sign! });
  }
  return out;
}

/** Reads an expression. Throws ExpressionError for what is not of the small language. */
export function parseExpression(source: string): Evaluate {
  const parser = new Parser(tokens(source));
  const evaluate = parser.sum();
  parser.end();
  return evaluate;
}

class Parser {
  #at = 0;
  constructor(private readonly list: readonly Token[]) {}

  sum(): Evaluate {
    let left = this.#postfix();
    for (;;) {
      const sign = ['+', '-'].find((each) => this.#skip(each));
      if (sign === undefined) return left;
      const [a, b] = [left, this.#postfix()];
      left = (scope) => added(a(scope), b(scope), sign === '+' ? 1 : -1);
    }
  }

  end(): void {
    const rest = this.list[this.#at];
    if (rest) throw new ExpressionError(`does not expect ${JSON.stringify(rest.text)}`);
  }

  #postfix(): Evaluate {
    let value = this.#atom();
    for (;;)
      if (this.#skip('.')) value = this.#member(value);
      else if (this.#skip('[')) value = this.#index(value);
      else if (this.#skip('|')) value = this.#filter(value);
      else return value;
  }

  #atom(): Evaluate {
    const token = this.list[this.#at++];
    if (token?.kind === 'number') return () => Number(token.text);
    if (token?.kind === 'text') return () => token.text;
    if (token?.kind === 'name') return (scope) => member(scope, token.text);
    if (token?.text === '-') {
      const value = this.#atom();
      return (scope) => added(0, value(scope), -1);
    }
    if (token?.text === '[') {
      const items = this.#arguments(']');
      return (scope) => items.map((item) => item(scope));
    }
    if (token?.text !== '(')
      throw new ExpressionError(`does not expect ${JSON.stringify(token?.text ?? 'its end')}`);
    const value = this.sum();
    this.#expect(')');
    return value;
  }

  #member(value: Evaluate): Evaluate {
    const name = this.#name();
    if (!this.#skip('(')) return (scope) => member(value(scope), name);
    const args = this.#arguments(')');
    const method = named(METHODS, name, 'method');
    return (scope) => method(value(scope), ...args.map((arg) => arg(scope)));
  }

  #index(value: Evaluate): Evaluate {
    const start = this.#peek(':') ? () => undefined : this.sum();
    if (!this.#skip(':')) {
      this.#expect(']');
      return (scope) => item(value(scope), start(scope));
    }
    const end = this.#peek(']') ? () => undefined : this.sum();
    this.#expect(']');
    return (scope) => slice(value(scope), start(scope), end(scope));
  }

  #filter(value: Evaluate): Evaluate {
    const name = this.#name();
    const filter = named(FILTERS, name, 'filter');
    if (!this.#skip('(')) return (scope) => filter(value(scope));
    const keyword = this.list[this.#at + 1]?.text === '=' && this.list[this.#at]?.kind === 'name';
    if (keyword) this.#at += 2; // `map(attribute='x')`: the only keyword that tasks use
    const args = this.#arguments(')');
    return (scope) => filter(value(scope), ...args.map((arg) => arg(scope)));
  }

  #arguments(close: string): Evaluate[] {
    const out: Evaluate[] = [];
    while (!this.#skip(close)) {
      if (out.length > 0) this.#expect(',');
      out.push(this.sum());
    }
    return out;
  }

  #name(): string {
    const token = this.list[this.#at++];
    if (token?.kind !== 'name')
      throw new ExpressionError(`expects a name, not ${JSON.stringify(token?.text ?? 'its end')}`);
    return token.text;
  }

  #peek(sign: string): boolean {
    const token = this.list[this.#at];
    return token?.kind === 'sign' && token.text === sign;
  }

  #skip(sign: string): boolean {
    if (!this.#peek(sign)) return false;
    this.#at++;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#skip(sign))
      throw new ExpressionError(
        `expects ${sign}, not ${JSON.stringify(this.list[this.#at]?.text ?? 'its end')}`,
      );
  }
}

type Call = (value: Value, ...args: Value[]) => Value;

const METHODS: Readonly<Record<string, Call>> = {
  strip: (value) => strip(text(value)),
  lstrip: (value) => lstrip(text(value)),
  rstrip: (value) => rstrip(text(value)),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  split: (value, by) => text(value).split(text(by)),
  replace: (value, from, to) => text(value).replaceAll(text(from), () => text(to)),
  index(value, wanted) {
    const at = list(value).indexOf(wanted);
    if (at < 0)
      throw new ExpressionError(`has ${JSON.stringify(wanted)} nowhere in ${JSON.stringify(value)}`);
    return at;
  },
};

const FILTERS: Readonly<Record<string, Call>> = {
  join: (value, by = '') => list(value).map(shown).join(text(by)),
  map: (value, attribute) => list(value).map((each) => member(each, text(attribute))),
  list: (value) => list(value),
  trim: (value) => strip(text(value)),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  length: (value) => (typeof value === 'string' ? [...value].length : list(value).length),
};

function named(record: Readonly<Record<string, Call>>, name: string, what: string): Call {
  if (Object.hasOwn(record, name)) return record[name]!;
  throw new ExpressionError(`knows no ${what} ${name}: ${nameHint(name, Object.keys(record))}`);
}

const lstrip = (value: string): string => {
  const stripped = strip(value);
  return stripped === '' ? '' : value.slice(value.indexOf(stripped));
};

function text(value: Value): string {
  if (typeof value === 'string') return value;
  throw new ExpressionError(`wants a text, not ${JSON.stringify(value) ?? 'nothing'}`);
}

function list(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value as readonly Value[];
  throw new ExpressionError(`wants a list, not ${JSON.stringify(value) ?? 'nothing'}`);
}

function member(value: Value, name: string): Value {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, name)) {
    const found = (value as Record<string, Value>)[name];
    if (found !== undefined) return found;
  }
  throw new MissingColumn(name);
}

function whole(value: Value): number {
  const number = typeof value === 'boolean' ? Number(value) : value;
  if (Number.isSafeInteger(number)) return number as number;
  throw new ExpressionError(`wants a whole number, not ${JSON.stringify(value) ?? 'nothing'}`);
}

/** Characters of a text are Unicode code points, as in Python. */
const parts = (value: Value): readonly Value[] => (typeof value === 'string' ? [...value] : list(value));

function item(value: Value, at: Value): Value {
  if (typeof at === 'string') return member(value, at);
  const items = parts(value);
  const found = items.at(whole(at));
  if (found === undefined || whole(at) < -items.length)
    throw new ExpressionError(`has no item ${whole(at)} among ${items.length}`);
  return found;
}

function slice(value: Value, start: Value, end: Value): Value {
  const [from, to] = [start, end].map((bound) => (bound === undefined ? undefined : whole(bound)));
  const taken = parts(value).slice(from, to);
  return typeof value === 'string' ? taken.join('') : taken;
}

function added(a: Value, b: Value, sign: 1 | -1): Value {
  if (sign === 1 && typeof a === 'string') return a + text(b);
  return whole(a) + sign * whole(b);
}

/** As Python's `str` writes it. */
export function shown(value: Value): string {
  if (typeof value === 'string') return value;
  return truthText(value);
}
