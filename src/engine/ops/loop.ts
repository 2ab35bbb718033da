// ONNX `Loop`: a body run many times inside one session, so that what it carries never leaves it.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import { Graph, type Node, type OpExample, reachable, type Type, type Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { add, greaterEqual, mul, sub } from './arithmetic.ts';
import { reduceSum } from './shape.ts';

interface LoopAttrs {
  readonly body: Graph;
  readonly bodyInputs: readonly Value[];
  readonly bodyOutputs: readonly Value[];
  readonly carried: number;
  readonly types: readonly Type[];
}

/** x doubles and grows by what stands outside, until its round is the last or its first number reaches a bound. */
const EXAMPLES: readonly OpExample[] = [5, 3].map((rounds) => ({
  inputs: [
    { shape: [], dtype: 'int32', values: [rounds] },
    { shape: [3], values: [1, -2, 0.5] },
    { shape: [3], values: [0.25, 1, 0] },
  ],
  call: ([count, x, step]) => {
    const always = greaterEqual(count!, 0);
    const types = [x!.type, count!.type];
    return loop(count!, always, [x!, count!], types, ([now, left]) => {
      const next = add(mul(now!, 2), step!);
      const more = greaterEqual(12, reduceSum(next, [0]));
      return { more, carried: [next, sub(left!, 1)], collected: [now!, left!] };
    });
  },
  differentiate: [],
}));

const loopOp = defineOp<LoopAttrs>({
  name: 'loop',
  infer: (_, { types }) => types,
  emit: (emitter, node) => {
    const { body, bodyInputs, bodyOutputs, carried } = node.attrs;
    const names = node.inputs.map((v) => emitter.name(v));
    const count = emitter.fresh('count');
    emitter.node('Cast', [names[0]!], [count], { to: 7 });
    emitter.node(
      'Loop',
      [count, names[1]!, ...names.slice(2, 2 + carried)],
      node.outputs.map((v) => emitter.name(v)),
      {
        body: { graph: body, inputs: bodyInputs, outputs: bodyOutputs },
      },
    );
  },
  gradient: 'none',
  examples: EXAMPLES,
});

const placeOp = defineOp<Type>({
  name: 'loop_variable',
  infer: (_, type) => [type],
  emit: () => {}, // declared by the body
  gradient: 'none',
  examples: EXAMPLES,
});

/**
 * Runs `body` up to `count` times (int32 scalar) while it says so.
 * @param start what is carried into the first round; `types` may loosen sizes that change from round to round
 * @param body gets the carried values, returns `{ more, carried, collected }`: whether to go on (bool scalar), the next
 *   round's values, and values of which all rounds are stacked along a new first axis
 * @returns the carried values after the last round, then the stacks
 */
export function loop(
  count: Value,
  more: Value,
  start: readonly Value[],
  types: readonly Type[],
  body: (carried: readonly Value[]) => {
    more: Value;
    carried: readonly Value[];
    collected: readonly Value[];
  },
): readonly Value[] {
  const outer = count.scope;
  const graph = new Graph(`${outer.name}_body`, outer);
  const variable = (type: Type) => placeOp([], type, graph)[0]!;
  const round = variable({ dtype: 'int64', shape: [] });
  const go = variable({ dtype: 'bool', shape: [] });
  const variables = types.map(variable);
  const made = body(variables);
  assert(
    made.carried.length === start.length && types.length === start.length,
    'a loop carries what it was given',
  );
  const bodyOutputs = [made.more, ...made.carried, ...made.collected];
  const captured = new Set<Value>();
  for (const node of reachable(bodyOutputs, graph))
    for (const value of node.inputs) if (value.scope !== graph) captured.add(value);
  for (const value of bodyOutputs) if (value.scope !== graph) captured.add(value);
  const rounds: Type[] = made.collected.map(({ type }) => ({
    dtype: type.dtype,
    shape: ['rounds', ...type.shape],
  }));
  return loopOp([count, more, ...start, ...captured], {
    body: graph,
    bodyInputs: [round, go, ...variables],
    bodyOutputs,
    carried: start.length,
    types: [...made.carried.map(({ type }) => type), ...rounds],
  });
}

/** A loop's body, for those who walk graphs; undefined for other nodes. `rounds` is the size of what it stacks. */
export function loopOf({
  op,
  attrs,
}: Node): { body: Graph; outputs: readonly Value[]; rounds: Dim } | undefined {
  if (op.name !== 'loop') return undefined;
  const { body, bodyOutputs, carried, types } = attrs as LoopAttrs;
  return { body, outputs: bodyOutputs, rounds: types[carried]?.shape[0] ?? 'rounds' };
}

export const LOOP = { loop: loopOp.op, loop_variable: placeOp.op };
