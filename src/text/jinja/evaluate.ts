// Renders a chat template as Python's Jinja would, or refuses the construct by name: a walk over the tree that
// @huggingface/jinja parses, with Python's rules for the values that chat templates use and a budget of steps.

import { Template } from '@huggingface/jinja';
import { WhorlError } from '../../base/error.ts';
import { CONSTANTS, Expressions, IN_MACRO, type Node, type Scope } from './expressions.ts';
import { GENERATION, generationAsCondition } from './generation.ts';
import { defineMacro } from './macros.ts';
import { refusal, scanTemplate } from './scan.ts';
import {
  fromData,
  isList,
  isMap,
  kindOf,
  MAX_TEXT,
  Namespace,
  present,
  printed,
  Stream,
  truth,
  type Value,
} from './values.ts';

/** What a loop goes through: of a text its characters, of a mapping its keys. */
function walked(value: Value): Value {
  if (value instanceof Stream) return value.take();
  if (typeof value === 'string') return [...value];
  return isMap(value) ? [...value.keys()] : value;
}

/** `break` and `continue` on their way to their loop, with what was written before them. */
class LoopEnd {
  constructor(
    readonly stops: boolean,
    public written = '',
  ) {}
}

/**
 * Only what is executed is looked at: a branch for tools that is not taken may hold anything that parses.
 * @param now what `strftime_now` writes; without it a template that calls it is refused
 * @throws WhorlError `unsupported` with the construct's name; a template's own `raise_exception` is one too
 */
export function renderTemplate(given: string, data: Readonly<Record<string, unknown>>, now?: Date): string {
  const source = given.replace(/\r\n?/g, '\n'); // as jinja2 reads it, strings in it too
  scanTemplate(source);
  let program: Node;
  try {
    program = new Template(generationAsCondition(source)).parsed as unknown as Node;
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    throw refusal(`something that does not parse (${(cause as Error).message.slice(0, 80)})`);
  }
  const globals: Scope = new Map(Object.entries(data).map(([name, value]) => [name, fromData(value)]));
  return new Evaluator(now).whole(program.body as Node[], [globals]);
}

class Evaluator extends Expressions {
  #written = 0;

  /** Nodes that no `break` may leave: in Python they are a function of their own, or outside of all loops. */
  whole(nodes: readonly Node[], scopes: readonly Scope[]): string {
    try {
      return this.#block(nodes, scopes);
    } catch (end) {
      throw end instanceof LoopEnd ? refusal('break or continue out of a block') : end;
    }
  }

  #block(nodes: readonly Node[], scopes: readonly Scope[]): string {
    let out = '';
    for (const node of nodes) {
      let piece: string;
      try {
        piece = this.#statement(node, scopes);
      } catch (end) {
        if (end instanceof LoopEnd) end.written = out + end.written;
        throw end;
      }
      this.#written += piece.length;
      if (this.#written > MAX_TEXT) throw refusal(`more than ${MAX_TEXT} characters of output`);
      out += piece;
    }
    return out;
  }

  #statement(node: Node, scopes: readonly Scope[]): string {
    this.step();
    switch (node.type) {
      case 'Comment':
        return '';
      case 'If':
        return this.#if(node, scopes);
      case 'For':
        return this.#loop(node, scopes);
      case 'Set':
        this.#set(node, scopes);
        return '';
      case 'Macro':
        this.#macro(node, scopes);
        return '';
      case 'Break':
      case 'Continue':
        throw new LoopEnd(node.type === 'Break');
      default:
        return printed(this.value(node, scopes));
    }
  }

  #if(node: Node, scopes: readonly Scope[]): string {
    const test = node.test as Node;
    // Python does not parse it without parentheses, and the tree does not show them.
    if (test.type === 'Ternary' || test.type === 'SelectExpression')
      throw refusal('a condition within a condition');
    if (test.type === 'Identifier' && test.value === GENERATION)
      return this.whole(node.body as Node[], [...scopes, new Map()]);
    return this.#block((truth(this.value(test, scopes)) ? node.body : node.alternate) as Node[], scopes);
  }

  #macro(node: Node, scopes: readonly Scope[]): void {
    const { value: name } = node.name as { value: string };
    if (CONSTANTS.has(name) || name === 'loop') throw refusal(`a macro ${name}`);
    const literal = (value: unknown): Value => {
      const { type, value: named } = value as Node;
      const plain =
        /^(?:String|Integer)Literal$/.test(type) || (type === 'Identifier' && CONSTANTS.has(named as string));
      if (!plain) throw refusal(`the macro ${name} with such parameters`);
      return this.value(value as Node, scopes);
    };
    const made = defineMacro(node as unknown as Parameters<typeof defineMacro>[0], literal, (variables) =>
      this.whole(node.body as Node[], [...scopes, IN_MACRO, variables]),
    );
    scopes.at(-1)!.set(name, made);
  }

  #set(node: Node, scopes: readonly Scope[]): void {
    const target = node.assignee as Node;
    const value =
      node.value === null
        ? this.whole(node.body as Node[], [...scopes, new Map()])
        : this.value(node.value as Node, scopes);
    if (target.type === 'Identifier') {
      const name = target.value as string;
      if (CONSTANTS.has(name) || name === 'loop') throw refusal(`an assignment to ${name}`);
      scopes.at(-1)!.set(name, value);
      return;
    }
    const property = target.property as Node | undefined;
    if (target.type !== 'MemberExpression' || target.computed === true || property?.type !== 'Identifier')
      throw refusal('an assignment to more than a name');
    const holder = this.value(target.object as Node, scopes);
    if (!(holder instanceof Namespace)) throw refusal(`an assignment into ${kindOf(holder)}`);
    holder.entries.set(property.value as string, value);
  }

  #loop(node: Node, scopes: readonly Scope[]): string {
    const variable = node.loopvar as Node;
    if (variable.type !== 'Identifier') throw refusal('a loop over several variables');
    const name = variable.value as string;
    const source = node.iterable as Node;
    if (source.type === 'Ternary') throw refusal('a condition after "in"');
    const filtered = source.type === 'SelectExpression';
    const given = this.value((filtered ? source.lhs : source) as Node, scopes);
    const whole = walked(given);
    if (!isList(whole)) throw refusal(`a loop over ${kindOf(whole)}`);
    const list = filtered
      ? whole.filter((item) => {
          this.step();
          return truth(this.value(source.test as Node, [...scopes, new Map([[name, item]])]));
        })
      : whole;
    let out = '';
    let ended = false; // whether a round came to its end: else is for loops without one, in Python also after a break
    for (const [index0, item] of list.entries()) {
      this.step(); // an empty body takes none
      const loop = new Namespace();
      const places: Record<string, Value> = {
        index0,
        index: index0 + 1,
        first: index0 === 0,
        last: index0 === list.length - 1,
        length: list.length,
        revindex: list.length - index0,
        revindex0: list.length - index0 - 1,
        previtem: present(list[index0 - 1]),
        nextitem: present(list[index0 + 1]),
      };
      for (const [place, value] of Object.entries(places)) loop.entries.set(place, value);
      const own = new Map<string, Value>([
        ['loop', loop],
        [name, item],
      ]);
      try {
        out += this.#block(node.body as Node[], [...scopes, own]);
        ended = true;
      } catch (end) {
        if (!(end instanceof LoopEnd)) throw end;
        out += end.written;
        if (end.stops) break;
      }
    }
    if (!ended) out += this.#block(node.defaultBlock as Node[], [...scopes, new Map()]);
    return out;
  }
}
