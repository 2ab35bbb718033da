// Elementwise arithmetic with numpy's broadcasting. Gradients ignore broadcasting: the reverse walk undoes it.

import { assert } from '../../base/error.ts';
import type { Dtype } from '../../tensor/tensor.ts';
import { type GradientRule, innermost, type OpExample, type Type, Value } from '../graph.ts';
import { broadcast, defineOp } from '../op.ts';
import type { OpName } from '../op-name.ts';
import { scalar } from './leaves.ts';

type Operand = Value | number;

const PAIRS: readonly OpExample[] = [
  { inputs: [{ shape: [3, 4] }, { shape: [3, 4], positive: true }] },
  { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1], positive: true }] },
  { inputs: [{ shape: [1, 4] }, { shape: [5, 1], positive: true }] },
  // Equal numbers among them; min and max have no derivative there.
  {
    inputs: [
      { shape: [2, 3], values: [1, 2, 3, -4, 5, -6] },
      { shape: [3], values: [1, 5, -6] },
    ],
    differentiate: [],
  },
];

/** Both operands as values; a number becomes a scalar of the other's dtype. */
function values(a: Operand, b: Operand): [Value, Value] {
  const one = a instanceof Value ? a : b;
  assert(one instanceof Value, 'arithmetic on two plain numbers');
  const lift = (x: Operand) => (x instanceof Value ? x : scalar(one.scope, x, one.dtype));
  return [lift(a), lift(b)];
}

function binary(name: OpName, type: string, gradient: 'none' | GradientRule<undefined>, result?: Dtype) {
  const apply = defineOp<undefined>({
    name,
    infer: ([a, b]) => {
      assert(a!.dtype === b!.dtype, `${name} of ${a!.dtype} and ${b!.dtype}`);
      return [{ dtype: result ?? a!.dtype, shape: broadcast(a!.shape, b!.shape) }];
    },
    emit: (emitter, node) =>
      emitter.node(
        type,
        node.inputs.map((v) => emitter.name(v)),
        [emitter.name(node.outputs[0]!)],
      ),
    gradient,
    examples: PAIRS,
  });
  return Object.assign((a: Operand, b: Operand): Value => apply(values(a, b), undefined)[0]!, {
    op: apply.op,
  });
}

function unary(
  name: OpName,
  type: string,
  gradient: 'none' | 'stop' | ((g: Value, x: Value, y: Value) => Value),
  positive = false,
) {
  const apply = defineOp<undefined>({
    name,
    infer: ([x]) => [x as Type],
    emit: (emitter, node) =>
      emitter.node(type, [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)]),
    gradient:
      typeof gradient === 'string'
        ? gradient
        : ([g], node) => [gradient(g!, node.inputs[0]!, node.outputs[0]!)],
    examples: [{ inputs: [{ shape: [3, 5], positive }] }],
  });
  return Object.assign((x: Value): Value => apply([x], undefined)[0]!, { op: apply.op });
}

/** y = a + b; da = g, db = g */
export const add = binary('add', 'Add', ([g]) => [g, g]);
/** y = a − b; da = g, db = −g */
export const sub = binary('sub', 'Sub', ([g]) => [g, neg(g!)]);
/** y = a · b; da = g·b, db = g·a */
export const mul = binary('mul', 'Mul', ([g], { inputs: [a, b] }) => [mul(g!, b!), mul(g!, a!)]);
/** y = a / b; da = g/b, db = −g·y/b */
export const div = binary('div', 'Div', ([g], { inputs: [, b], outputs: [y] }) => [
  div(g!, b!),
  neg(div(mul(g!, y!), b!)),
]);
/** y = min(a, b); da = g where a ≤ b, db = g elsewhere */
export const min = binary('min', 'Min', ([g], { inputs: [a, b] }) => {
  const first = greaterEqual(b!, a!);
  return [where(first, g!, 0), where(first, 0, g!)];
});
export const max = binary('max', 'Max', 'none');

export const equal = binary('equal', 'Equal', 'none', 'bool');
export const greaterEqual = binary('greater_equal', 'GreaterOrEqual', 'none', 'bool');

/** y = −x; dx = −g */
export const neg = unary('neg', 'Neg', (g) => neg(g));
/** y = x, a constant to the backward pass */
export const stopGradient = unary('stop_gradient', 'Identity', 'stop');
/** y = eˣ; dx = g·y */
export const exp = unary('exp', 'Exp', (g, _, y) => mul(g, y));
/** y = ln x; dx = g/x */
export const log = unary('log', 'Log', (g, x) => div(g, x), true);
/** y = √x; dx = g/(2y) */
export const sqrt = unary('sqrt', 'Sqrt', (g, _, y) => div(g, mul(y, 2)), true);
/** y = 1/(1+e⁻ˣ); dx = g·y·(1−y) */
export const sigmoid = unary('sigmoid', 'Sigmoid', (g, _, y) => mul(g, mul(y, sub(1, y))));
/** y = tanh x; dx = g·(1−y²) */
export const tanh = unary('tanh', 'Tanh', (g, _, y) => mul(g, sub(1, mul(y, y))));
/** y = erf x; dx = g·(2/√π)·e^(−x²) */
export const erf = unary('erf', 'Erf', (g, x) => mul(g, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
/** y = max(x, 0); dx = g where y > 0 */
export const relu = unary('relu', 'Relu', (g, _, y) => where(greaterEqual(0, y), 0, g));
/** y = x·σ(x); dx = g·(σ + y·(1−σ)) */
export const silu = (x: Value): Value => mul(x, sigmoid(x));

const castOp = defineOp<{ to: Dtype }>({
  name: 'cast',
  infer: ([x], { to }) => [{ dtype: to, shape: x!.shape }],
  emit: (emitter, node) => {
    const types: Record<Dtype, number> = {
      float32: 1,
      uint8: 2,
      int32: 6,
      int64: 7,
      bool: 9,
      float16: 10,
      bfloat16: 16,
    };
    emitter.node('Cast', [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)], {
      to: types[node.attrs.to],
    });
  },
  gradient: ([g], node) => [cast(g!, node.inputs[0]!.dtype)],
  examples: [
    { inputs: [{ shape: [3, 4] }], attrs: { to: 'float32' } },
    {
      inputs: [{ shape: [5], values: [-1.75, -0.5, 0, 0.5, 70000.9] }],
      attrs: { to: 'int32' },
      differentiate: [],
    },
    { inputs: [{ shape: [3], dtype: 'int32', values: [-7, 0, 16777216] }], attrs: { to: 'float32' } },
    { inputs: [{ shape: [3], dtype: 'int32', values: [-7, 0, 2147483647] }], attrs: { to: 'int64' } },
    { inputs: [{ shape: [3], values: [0, 0.25, -2] }], attrs: { to: 'bool' }, differentiate: [] },
    { inputs: [{ shape: [2], dtype: 'bool', values: [1, 0] }], attrs: { to: 'float32' } },
    { inputs: [{ shape: [2, 3], dtype: 'float16', stored: true }], attrs: { to: 'float32' } },
    { inputs: [{ shape: [2, 3], dtype: 'bfloat16', stored: true }], attrs: { to: 'float32' } },
  ],
});

/** The same values as another dtype; the value itself where it is that already. */
export const cast = (x: Value, to: Dtype): Value => (x.dtype === to ? x : castOp([x], { to })[0]!);

const whereOp = defineOp<undefined>({
  name: 'where',
  infer: ([c, a, b]) => {
    assert(c!.dtype === 'bool' && a!.dtype === b!.dtype, 'where(bool, x, x)');
    return [{ dtype: a!.dtype, shape: broadcast(c!.shape, broadcast(a!.shape, b!.shape)) }];
  },
  emit: (emitter, node) =>
    emitter.node(
      'Where',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
    ),
  // da = where(c, g, 0), db = where(c, 0, g)
  gradient: ([g], { inputs: [c] }) => [undefined, where(c!, g!, 0), where(c!, 0, g!)],
  examples: [
    {
      inputs: [
        { shape: [3, 4], dtype: 'bool', values: [1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1] },
        { shape: [3, 4] },
        { shape: [3, 4] },
      ],
    },
    { inputs: [{ shape: [3, 1], dtype: 'bool', values: [1, 0, 1] }, { shape: [3, 4] }, { shape: [4] }] },
  ],
});

/** a where the condition holds, b elsewhere. */
export const where = (condition: Value, a: Operand, b: Operand): Value =>
  whereOp([condition, ...values(a, b)], undefined)[0]!;

/** The number `x` as a scalar in the scope of `like`. */
export const literal = (like: Value, x: number, dtype: Dtype = 'float32'): Value =>
  scalar(innermost([like]), x, dtype);

export const ARITHMETIC = {
  add: add.op,
  sub: sub.op,
  mul: mul.op,
  div: div.op,
  min: min.op,
  max: max.op,
  equal: equal.op,
  greater_equal: greaterEqual.op,
  neg: neg.op,
  stop_gradient: stopGradient.op,
  exp: exp.op,
  log: log.op,
  sqrt: sqrt.op,
  sigmoid: sigmoid.op,
  tanh: tanh.op,
  erf: erf.op,
  relu: relu.op,
  cast: castOp.op,
  where: whereOp.op,
};
