// Filters, tests and methods of chat templates: only those, and only for those values, that give what Python gives.

import { refusal } from './scan.ts';
import {
  ascii,
  equal,
  integer,
  isList,
  isMap,
  json,
  kindOf,
  MAX_TEXT,
  needle,
  partOfText,
  present,
  printed,
  Stream,
  strip,
  text,
  truth,
  Undefined,
  type Value,
} from './values.ts';

type Call = (value: Value, args: readonly Value[], named: ReadonlyMap<string, Value>) => Value;

const length = (value: Value): number => {
  if (typeof value === 'string') return [...value].length; // code points, as Python counts
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  throw refusal(`the length of ${kindOf(value)}`);
};
const items = (value: Value, what: string): readonly Value[] => {
  if (typeof value === 'string') return [...value];
  if (isList(value)) return value;
  if (value instanceof Stream && what !== 'last') return value.take(); // Python cannot take a generator's last
  throw refusal(`${what} of ${kindOf(value)}`);
};
/** Tests by name in `selectattr`, and how many values beside the part they take. */
const SELECTIONS: ReadonlyMap<Value, readonly [(part: Value, other: Value) => boolean, number]> = new Map([
  ['equalto', [equal, 1] as const],
  ['eq', [equal, 1] as const],
  ['==', [equal, 1] as const],
  ['defined', [(part: Value) => !(part instanceof Undefined), 0] as const],
  ['undefined', [(part: Value) => part instanceof Undefined, 0] as const],
]);
/** `selectattr(name, 'equalto', value)`, also of a text's characters, which have no such part. */
const selected =
  (wanted: boolean): Call =>
  (value, [attribute = null, ...test]) => {
    const name = text(attribute, 'selectattr');
    const [holds, takes] = test.length === 0 ? [truth, 0] : (SELECTIONS.get(test[0]!) ?? []);
    if (!holds || Math.max(0, test.length - 1) !== takes || name.includes('.') || name.startsWith('_'))
      throw refusal('selectattr so');
    return new Stream(
      items(value, 'selectattr').filter((item) => {
        if (!isMap(item) && typeof item !== 'string') throw refusal(`selectattr of ${kindOf(item)}`);
        const part = isMap(item) ? present(item.get(name)) : partOfText(name);
        return holds(part, test[1] ?? null) === wanted;
      }),
    );
  };
const capitalized = (value: string): string =>
  ascii(value, 'capitalize').slice(0, 1).toUpperCase() + value.slice(1).toLowerCase();
/** `str.title`: every run of letters, also after an apostrophe. */
const titled = (value: string): string =>
  ascii(value, 'title').replace(/[A-Za-z]+/g, (word) => word[0]!.toUpperCase() + word.slice(1).toLowerCase());
const orDefault: Call = (value, [instead = '', also = false], named) =>
  value instanceof Undefined || (truth(named.get('boolean') ?? also) && !truth(value)) ? instead : value;
const replaced = (value: Value, [from, to, ...more]: readonly Value[]): string => {
  if (from === undefined || to === undefined || more.length > 0 || from === '') throw refusal('replace so');
  return joined(text(value, 'replace').split(needle(from, 'replace')), text(to, 'replace'));
};
const joined = (parts: readonly string[], by: string): string => {
  const characters = parts.reduce((sum, part) => sum + part.length + by.length, 0);
  if (characters > MAX_TEXT + by.length) throw refusal(`a text of more than ${MAX_TEXT} characters`);
  return parts.join(by);
};

/** [function, most arguments] */
export const FILTERS: ReadonlyMap<string, readonly [Call, number]> = new Map<string, readonly [Call, number]>(
  [
    ['trim', [(value) => strip(text(value, 'trim'), 'both'), 0]],
    ['length', [length, 0]],
    ['count', [length, 0]],
    ['upper', [(value) => ascii(text(value, 'upper'), 'upper').toUpperCase(), 0]],
    ['lower', [(value) => ascii(text(value, 'lower'), 'lower').toLowerCase(), 0]],
    ['first', [(value) => present(items(value, 'first')[0]), 0]],
    ['last', [(value) => present(items(value, 'last').at(-1)), 0]],
    ['list', [(value) => items(value, 'list'), 0]],
    ['string', [printed, 0]],
    ['tojson', [(value) => json(value), 0]],
    ['join', [(value, [by = '']) => joined(items(value, 'join').map(printed), text(by, 'join')), 1]],
    ['replace', [(value, args) => replaced(value, args), 2]],
    ['capitalize', [(value) => capitalized(text(value, 'capitalize')), 0]],
    ['selectattr', [selected(true), 3]],
    ['rejectattr', [selected(false), 3]],
    ['default', [orDefault, 2]],
    ['d', [orDefault, 2]],
  ],
);

const known = (value: Value): Value => {
  if (value instanceof Undefined) throw refusal('a test of an undefined value');
  return value;
};
const whole = (value: Value) => integer(value, 'odd or even');
export const TESTS: ReadonlyMap<string, (value: Value) => boolean> = new Map<
  string,
  (value: Value) => boolean
>([
  ['defined', (value) => !(value instanceof Undefined)],
  ['undefined', (value) => value instanceof Undefined],
  ['none', (value) => value === null],
  ['string', (value) => typeof value === 'string'],
  ['mapping', isMap],
  ['iterable', (value) => typeof known(value) === 'string' || isList(value) || isMap(value)],
  ['sequence', (value) => typeof known(value) === 'string' || isList(value) || isMap(value)],
  ['boolean', (value) => typeof value === 'boolean'],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['number', (value) => typeof value === 'number' || typeof value === 'boolean'],
  ['integer', (value) => typeof value === 'number'],
  ['odd', (value) => whole(value) % 2 !== 0],
  ['even', (value) => whole(value) % 2 === 0],
]);

const optional = (value: Value | undefined) => (value === undefined ? undefined : text(value, 'strip'));
const stripped = (sides: 'both' | 'left' | 'right'): readonly [Call, number] => [
  (value, [characters]) => strip(value as string, sides, optional(characters)),
  1,
];
export const TEXT_METHODS: ReadonlyMap<string, readonly [Call, number]> = new Map<
  string,
  readonly [Call, number]
>([
  ['strip', stripped('both')],
  ['lstrip', stripped('left')],
  ['rstrip', stripped('right')],
  ['upper', [(value) => ascii(value as string, 'upper').toUpperCase(), 0]],
  ['lower', [(value) => ascii(value as string, 'lower').toLowerCase(), 0]],
  ['capitalize', [(value) => capitalized(value as string), 0]],
  ['title', [(value) => titled(value as string), 0]],
  ['startswith', [(value, [start = null]) => (value as string).startsWith(text(start, 'startswith')), 1]],
  ['endswith', [(value, [end = null]) => (value as string).endsWith(text(end, 'endswith')), 1]],
  ['replace', [(value, args) => replaced(value, args), 2]],
  [
    'split',
    [
      (value, [by = null]) => {
        if (needle(by, 'split') === '') throw refusal('split by nothing');
        return (value as string).split(by as string);
      },
      1,
    ],
  ],
]);
export const MAP_METHODS: ReadonlyMap<string, readonly [Call, number]> = new Map<
  string,
  readonly [Call, number]
>([
  [
    'get',
    [
      (value, [key = null, instead = null]) => {
        const found = (value as ReadonlyMap<string, Value>).get(text(key, 'get'));
        return found === undefined ? instead : found;
      },
      2,
    ],
  ],
]);
