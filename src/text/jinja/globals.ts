// Operators on numbers and functions that chat templates call, as Python's Jinja has them.

import { refusal } from './scan.ts';
import { integer, Namespace, type Value } from './values.ts';

const MAX_RANGE = 100_000; // Jinja's sandbox stops there too

export const shortList = (value: Value[]): Value[] => {
  if (value.length > MAX_RANGE) throw refusal(`a list of more than ${MAX_RANGE} entries`);
  return value;
};
/** Has the sign of the divisor, as in Python. */
const remainder = (a: number, b: number): number => {
  if (b === 0) throw refusal('a division by zero');
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};
/** On whole numbers; what leaves the safe ones is refused by the caller. */
export const ARITHMETIC: Readonly<Record<string, (a: number, b: number) => number | boolean>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '//': (a, b) => (a - remainder(a, b)) / b,
  '%': (a, b) => remainder(a, b),
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
};

export type Global = (args: readonly Value[], named: ReadonlyMap<string, Value>) => Value;
export const GLOBALS: ReadonlyMap<string, Global> = new Map<string, Global>([
  [
    'range',
    (args: readonly Value[], named: ReadonlyMap<string, Value>) => {
      const bounds = args.map((bound) => integer(bound, 'range'));
      const [from, to, step = 1] =
        bounds.length === 1 ? [0, bounds[0]!] : (bounds as [number, number, number?]);
      if (bounds.length === 0 || bounds.length > 3 || named.size > 0 || step === 0) throw refusal('range so');
      const length = Math.max(0, Math.ceil((to - from) / step));
      if (length > MAX_RANGE) throw refusal(`a range of more than ${MAX_RANGE}`);
      return Array.from({ length }, (_, i) => from + i * step);
    },
  ],
  [
    'namespace',
    (args: readonly Value[], named: ReadonlyMap<string, Value>) => {
      if (args.length > 0) throw refusal('a namespace of something');
      const made = new Namespace();
      for (const [name, value] of named) made.entries.set(name, value);
      return made;
    },
  ],
  [
    'raise_exception',
    (args: readonly Value[]) => {
      throw refusal(`raise_exception (${typeof args[0] === 'string' ? args[0].slice(0, 120) : ''})`);
    },
  ],
]);

/** Names that are defined in Python's environment, whether or not they can be called here. */
export const DEFINED: ReadonlySet<string> = new Set(
  'range namespace raise_exception strftime_now dict lipsum cycler joiner'.split(' '),
);
/** Names that Python's environment knows and this one does not. As values they would print Python objects. */
export const FOREIGN: ReadonlySet<string> = new Set(
  'range namespace raise_exception strftime_now dict lipsum cycler joiner self super'.split(' '),
);
