// Expressions of a chat template, with Python's rules for the values that chat templates use and a budget of steps.

import { strftime } from './clock.ts';
import { FILTERS, MAP_METHODS, TESTS, TEXT_METHODS } from './functions.ts';
import { ARITHMETIC, DEFINED, FOREIGN, GLOBALS, type Global, shortList } from './globals.ts';
import { OF_MACROS } from './macros.ts';
import { refusal } from './scan.ts';
import {
  contains,
  equal,
  integer,
  isList,
  isMap,
  kindOf,
  Macro,
  Namespace,
  partOfText,
  present,
  printed,
  short,
  text,
  truth,
  UNDEFINED,
  Undefined,
  type Value,
} from './values.ts';

export interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}
export type Scope = Map<string, Value>;

const MAX_STEPS = 200_000;
export const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);
/** Among the scopes of a macro's body. */
export const IN_MACRO: Scope = new Map();
/** What a mapping has besides its keys; a template that reads one of these means the method, or does it. */
const MAP_ATTRIBUTES: ReadonlySet<string> = new Set(
  'clear copy fromkeys get items keys pop popitem setdefault update values'.split(' '),
);

export class Expressions {
  #steps = 0;
  readonly #functions: ReadonlyMap<string, Global>;

  constructor(now: Date | undefined) {
    const clock: Global = ([format = null], named) => {
      if (named.size > 0) throw refusal('strftime_now so');
      return strftime(text(format, 'strftime_now'), now!);
    };
    this.#functions = now ? new Map([...GLOBALS, ['strftime_now', clock]]) : GLOBALS;
  }

  protected step(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw refusal(`more than ${MAX_STEPS} steps`);
  }

  /** A long text or list counts as many steps: whatever uses it may walk along it. */
  protected value(node: Node, scopes: readonly Scope[]): Value {
    const value = this.#expression(node, scopes);
    this.step(1 + (typeof value === 'string' || isList(value) ? value.length >> 6 : 0));
    return value;
  }

  #expression(node: Node, scopes: readonly Scope[]): Value {
    switch (node.type) {
      case 'StringLiteral':
        return node.value as string;
      case 'IntegerLiteral':
        return integer(node.value as number, 'a number');
      case 'ArrayLiteral':
      case 'TupleLiteral':
        return (node.value as Node[]).map((entry) => this.value(entry, scopes));
      case 'Identifier':
        return this.#name(node.value as string, scopes);
      case 'ObjectLiteral':
        return new Map(
          [...(node.value as Map<Node, Node>)].map(([key, value]) => [
            text(this.value(key, scopes), 'a key'),
            this.value(value, scopes),
          ]),
        );
      case 'MemberExpression':
        return this.#member(node, scopes);
      case 'CallExpression':
        return this.#call(node, scopes);
      case 'FilterExpression':
        return this.#filter(node, scopes);
      case 'TestExpression': {
        const name = (node.test as Node).value as string;
        const test = TESTS.get(name);
        if (test === undefined) throw refusal(`the test ${name}`);
        const operand = node.operand as Node;
        const own = operand.type === 'Identifier' && this.#isForeign(operand.value as string, scopes);
        if (own && (name === 'defined' || name === 'undefined')) return (name === 'defined') !== node.negate;
        return test(this.value(operand, scopes)) !== node.negate;
      }
      case 'UnaryExpression': {
        if ((node.operator as { value: string }).value !== 'not')
          throw refusal('a sign before an expression');
        return !truth(this.value(node.argument as Node, scopes));
      }
      case 'Ternary':
        return truth(this.value(node.condition as Node, scopes))
          ? this.value(node.trueExpr as Node, scopes)
          : this.value(node.falseExpr as Node, scopes);
      case 'SelectExpression':
        return truth(this.value(node.test as Node, scopes))
          ? this.value(node.lhs as Node, scopes)
          : UNDEFINED;
      case 'BinaryExpression':
        return this.#binary(node, scopes);
      default:
        throw refusal(NAMES[node.type] ?? node.type);
    }
  }

  #name(name: string, scopes: readonly Scope[]): Value {
    const constant = CONSTANTS.get(name);
    if (constant !== undefined) return constant;
    for (let i = scopes.length - 1; i >= 0; i--) {
      const value = scopes[i]!.get(name);
      if (value !== undefined) return value;
    }
    if (FOREIGN.has(name) || (OF_MACROS.has(name) && scopes.includes(IN_MACRO)))
      throw refusal(`${name} as a value`);
    return UNDEFINED;
  }

  /** Defined in Python, and by nothing of the template's own. */
  #isForeign(name: string, scopes: readonly Scope[]): boolean {
    return DEFINED.has(name) && !scopes.some((scope) => scope.has(name));
  }

  #member(node: Node, scopes: readonly Scope[]): Value {
    const object = this.value(node.object as Node, scopes);
    const property = node.property as Node;
    if (property.type === 'SliceExpression') return this.#slice(object, property, scopes);
    const key = node.computed === true ? this.value(property, scopes) : attribute(property);
    if (object instanceof Undefined) throw refusal('a part of an undefined value');
    if (object instanceof Namespace) {
      if (node.computed === true) throw refusal('a namespace by subscript');
      return present(object.entries.get(key as string));
    }
    if (isMap(object) && typeof key === 'string') {
      const value = object.get(key);
      if (MAP_ATTRIBUTES.has(key) && (node.computed !== true || value === undefined))
        throw refusal(`the attribute ${key} of a mapping`);
      if (key.startsWith('_')) throw refusal(`the attribute ${key}`);
      return present(value);
    }
    if (node.computed === true && typeof key === 'number') {
      if (isList(object)) return present(object.at(key));
      if (typeof object === 'string') return present([...object].at(key));
    }
    if (typeof object === 'string' && typeof key === 'string') return partOfText(key);
    throw refusal(`a part of ${kindOf(object)}`);
  }

  #slice(object: Value, slice: Node, scopes: readonly Scope[]): Value {
    const bound = (part: unknown): number | undefined => {
      if (part === undefined || part === null) return undefined;
      const value = this.value(part as Node, scopes);
      return value === null ? undefined : integer(value, 'a slice');
    };
    const [start, stop, step] = [bound(slice.start), bound(slice.stop), bound(slice.step) ?? 1];
    if (step !== 1 && !(step === -1 && start === undefined && stop === undefined))
      throw refusal('a slice with a step');
    if (typeof object !== 'string' && !isList(object)) throw refusal(`a slice of ${kindOf(object)}`);
    const all: readonly Value[] = typeof object === 'string' ? [...object] : object;
    const cut = step === -1 ? [...all].reverse() : all.slice(start, stop);
    return typeof object === 'string' ? cut.join('') : cut;
  }

  #arguments(nodes: readonly Node[], scopes: readonly Scope[]) {
    const args: Value[] = [];
    const named = new Map<string, Value>();
    for (const node of nodes)
      if (node.type === 'KeywordArgumentExpression')
        named.set((node.key as Node).value as string, this.value(node.value as Node, scopes));
      else args.push(this.value(node, scopes));
    return { args, named };
  }

  #call(node: Node, scopes: readonly Scope[]): Value {
    const callee = node.callee as Node;
    const { args, named } = this.#arguments(node.args as Node[], scopes);
    if (callee.type === 'Identifier') {
      const name = callee.value as string;
      const value = scopes.findLast((scope) => scope.has(name))?.get(name);
      if (value instanceof Macro) return value.call(args, named);
      const made = value === undefined ? this.#functions.get(name) : undefined;
      if (made === undefined) throw refusal(`the function ${name}`);
      return made(args, named);
    }
    if (callee.type !== 'MemberExpression' || callee.computed === true)
      throw refusal('a call of an expression');
    const object = this.value(callee.object as Node, scopes);
    const name = attribute(callee.property as Node);
    const method =
      typeof object === 'string' ? TEXT_METHODS.get(name) : isMap(object) ? MAP_METHODS.get(name) : undefined;
    if (method === undefined) throw refusal(`the method ${name} of ${kindOf(object)}`);
    if (args.length > method[1] || named.size > 0) throw refusal(`the method ${name} with such arguments`);
    return method[0](object, args, named);
  }

  #filter(node: Node, scopes: readonly Scope[]): Value {
    const operand = this.value(node.operand as Node, scopes);
    const filter = node.filter as Node;
    const call = filter.type === 'CallExpression';
    const name = ((call ? filter.callee : filter) as Node).value as string;
    const found = FILTERS.get(name);
    if (found === undefined) throw refusal(`the filter ${name}`);
    const { args, named } = call
      ? this.#arguments(filter.args as Node[], scopes)
      : { args: [], named: new Map<string, Value>() };
    const allowed = name === 'default' || name === 'd' ? ['boolean'] : [];
    if (args.length > found[1] || [...named.keys()].some((key) => !allowed.includes(key)))
      throw refusal(`the filter ${name} with such arguments`);
    return found[0](operand, args, named);
  }

  #binary(node: Node, scopes: readonly Scope[]): Value {
    const operator = (node.operator as { value: string }).value;
    const left = this.value(node.left as Node, scopes);
    if (operator === 'and') return truth(left) ? this.value(node.right as Node, scopes) : left;
    if (operator === 'or') return truth(left) ? left : this.value(node.right as Node, scopes);
    const right = this.value(node.right as Node, scopes);
    switch (operator) {
      case '==':
        return equal(left, right);
      case '!=':
        return !equal(left, right);
      case 'in':
        return contains(right, left);
      case 'not in':
        return !contains(right, left);
      case '~':
        return short(printed(left) + printed(right));
      case '+':
        if (typeof left === 'string' && typeof right === 'string') return short(left + right);
        if (isList(left) && isList(right)) return shortList([...left, ...right]);
    }
    const arithmetic = ARITHMETIC[operator];
    if (arithmetic === undefined) throw refusal(`the operator ${operator}`);
    const what = `"${operator}"`;
    const result = arithmetic(integer(left, what), integer(right, what));
    return typeof result === 'number' ? integer(result, what) : result;
  }
}

function attribute(node: Node): string {
  if (node.type !== 'Identifier') throw refusal('a number as an attribute');
  return node.value as string;
}

/** Words for what the tree names otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  FloatLiteral: 'a fractional number',
  CallStatement: 'a call block',
  FilterStatement: 'a filter block',
};
