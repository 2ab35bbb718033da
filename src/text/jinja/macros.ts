// Macros of chat templates: what one is, and how the arguments of a call become its variables, as in Python's Jinja.

import { refusal } from './scan.ts';
import { Macro, UNDEFINED, type Value } from './values.ts';

/** What the parser gives for `{% macro name(a, b=1) %}…`. */
interface MacroNode {
  readonly name: { readonly value: string };
  readonly args: readonly Parameter[];
}
interface Parameter {
  readonly type: string;
  readonly value?: unknown;
  readonly key?: { readonly value: string };
}

/** Names that a macro's body finds beside its own in Python, and that change what a call may give it. */
export const OF_MACROS: ReadonlySet<string> = new Set(['caller', 'varargs', 'kwargs']);
/** Python stops at its own limit of about 1,000 frames, of which a macro takes several. */
const MOST_CALLS = 64;

/** @param literal the value of a default, where it is one that does not depend on when it is computed */
export function defineMacro(
  node: MacroNode,
  literal: (value: unknown) => Value,
  call: (variables: Map<string, Value>) => string,
): Macro {
  const parameters = node.args.map(({ type, value, key }) =>
    type === 'Identifier'
      ? { name: value as string }
      : type === 'KeywordArgumentExpression'
        ? { name: key!.value, instead: literal(value) }
        : undefined,
  );
  const known = parameters.filter((parameter) => parameter !== undefined);
  const firstDefault = known.findIndex((parameter) => 'instead' in parameter);
  const ordered = firstDefault < 0 || known.slice(firstDefault).every((parameter) => 'instead' in parameter);
  const names = new Set(known.map(({ name }) => name));
  if (known.length < parameters.length || !ordered || names.size < known.length)
    throw refusal(`the macro ${node.name.value} with such parameters`);
  let depth = 0;
  return new Macro((args, named) => {
    if (args.length > known.length || [...named.keys()].some((key) => !names.has(key)))
      throw refusal(`the macro ${node.name.value} with such arguments`);
    const variables = new Map<string, Value>();
    for (const [i, parameter] of known.entries()) {
      const { name } = parameter;
      if (i < args.length && named.has(name)) throw refusal(`the argument ${name} twice`);
      const instead = 'instead' in parameter ? parameter.instead! : UNDEFINED;
      variables.set(name, i < args.length ? args[i]! : (named.get(name) ?? instead));
    }
    if (depth >= MOST_CALLS) throw refusal(`a macro that calls itself more than ${MOST_CALLS} times`);
    depth++;
    try {
      return call(variables);
    } finally {
      depth--;
    }
  });
}
