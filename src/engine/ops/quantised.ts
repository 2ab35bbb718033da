// Linear layers whose weights are whole numbers of 8 or 4 bits with a scale for each block of a row (ONNX Runtime's
// MatMulNBits): row n stands for scale[n, b] · (q − 2^(bits − 1)).

import { assert } from '../../base/error.ts';
import { elements } from '../../tensor/tensor.ts';
import type { Emission, Type, Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { type Packing, packedBlocks } from '../packing.ts';

interface Rows extends Packing {
  /** Elements of a row that count. */
  readonly width: number;
}

/** packed uint8 [out, blocks, block · bits / 8], two 4-bit numbers a byte, the lower one first; scales float32 [out, blocks]. */
function checkRows([packed, scales]: readonly Type[], rows: Rows): number {
  const { bits, block, width } = rows;
  const [out, blocks, bytes] = packed!.shape;
  assert(
    blocks === packedBlocks(rows, width) && bytes === (block * bits) / 8 && packed!.dtype === 'uint8',
    'quantised rows: [out, blocks, bytes of a block]',
  );
  assert(String(scales!.shape) === String([out, blocks]), 'quantised rows: a scale for each block');
  return out as number;
}

const quantisedLinearOp = defineOp<Rows>({
  name: 'quantised_linear',
  heavy: true,
  infer: ([x, ...rows], attrs) => {
    assert(x!.shape.length === 2 && x!.shape[1] === attrs.width, `quantised_linear: rows of ${attrs.width}`);
    return [{ dtype: 'float32', shape: [x!.shape[0]!, checkRows(rows, attrs)] }];
  },
  emit: (emitter, { inputs, outputs, attrs: { bits, block, width, accuracy } }) =>
    emitter.node(
      'MatMulNBits',
      inputs.map((value) => emitter.name(value)),
      [emitter.name(outputs[0]!)],
      { K: width, N: outputs[0]!.shape[1] as number, bits, block_size: block, accuracy_level: accuracy },
      'com.microsoft',
    ),
  gradient: 'none',
  examples: [
    { bits: 4, block: 16, width: 32, accuracy: 1 } as const,
    { bits: 4, block: 32, width: 40, accuracy: 4 } as const,
    { bits: 8, block: 32, width: 64, accuracy: 1 } as const,
    { bits: 8, block: 128, width: 128, accuracy: 4 } as const,
  ].map((attrs) => ({ inputs: [{ shape: [3, attrs.width] }, ...exampleRows(5, attrs)], attrs })),
  flops: ([x], { width }) => 2 * elements(x!) * width,
});

const quantisedWeightOp = defineOp<Rows>({
  name: 'quantised_weight',
  infer: (rows, attrs) => [{ dtype: 'float32', shape: [checkRows(rows, attrs), attrs.width] }],
  emit: (emitter, node) => {
    const [packed, scales] = node.inputs.map((value) => emitter.name(value));
    const { bits, block, width } = node.attrs;
    const [out, blocks] = node.inputs[1]!.shape as readonly [number, number];
    const whole = emitter.fresh('whole');
    const values = wideValues(emitter, packed!, bits);
    const shaped = emitter.fresh('shaped');
    emitter.node('Reshape', [values, emitter.constant('int64', [3], [out, blocks, block])], [shaped]);
    const [centred, scale, scaled] = ['centred', 'scale', 'scaled'].map((stem) => emitter.fresh(stem));
    emitter.node('Sub', [shaped, emitter.constant('float32', [], [2 ** (bits - 1)])], [centred!]);
    emitter.node('Unsqueeze', [scales!, emitter.constant('int64', [1], [2])], [scale!]);
    emitter.node('Mul', [centred!, scale!], [scaled!]);
    emitter.node('Reshape', [scaled!, emitter.constant('int64', [2], [out, blocks * block])], [whole]);
    const [from, to, axis] = [0, width, 1].map((value) => emitter.constant('int64', [1], [value]));
    emitter.node('Slice', [whole, from!, to!, axis!], [emitter.name(node.outputs[0]!)]);
  },
  gradient: 'none',
  examples: [
    { bits: 4, block: 16, width: 40, accuracy: 1 } as const,
    { bits: 8, block: 32, width: 64, accuracy: 1 } as const,
  ].map((attrs) => ({ inputs: exampleRows(5, attrs), attrs })),
});

/** The numbers as float32, in order. */
function wideValues(emitter: Emission, packed: string, bits: 4 | 8): string {
  const wide = emitter.fresh('wide');
  if (bits === 8) {
    emitter.node('Cast', [packed], [wide], { to: 1 });
    return wide;
  }
  // floor(q / 16) and q − 16 · floor(q / 16), exact in float32.
  const [byte, shifted, high, down, low] = ['byte', 'shifted', 'high', 'down', 'low'].map((stem) =>
    emitter.fresh(stem),
  );
  emitter.node('Cast', [packed], [byte!], { to: 1 });
  emitter.node('Mul', [byte!, emitter.constant('float32', [], [1 / 16])], [shifted!]);
  emitter.node('Floor', [shifted!], [high!]);
  emitter.node('Mul', [high!, emitter.constant('float32', [], [16])], [down!]);
  emitter.node('Sub', [byte!, down!], [low!]);
  const parts = [low!, high!].map((part) => {
    const column = emitter.fresh('column');
    emitter.node('Unsqueeze', [part, emitter.constant('int64', [1], [3])], [column]);
    return column;
  });
  emitter.node('Concat', parts, [wide], { axis: 3 });
  return wide;
}

function exampleRows(out: number, rows: Rows) {
  const { bits, block, width } = rows;
  const blocks = packedBlocks(rows, width);
  const shape = [out, blocks, (block * bits) / 8];
  const values = Array.from({ length: elements(shape) }, (_, i) => (i * 37 + 11) % 256);
  return [
    { shape, dtype: 'uint8' as const, values },
    { shape: [out, blocks], positive: true },
  ];
}

/** Weights [out, width] of packed rows: what `linear` multiplies by without making it, and any other op as float32. */
export const quantisedWeight = (packed: Value, scales: Value, rows: Rows): Value =>
  quantisedWeightOp([packed, scales], rows)[0]!;

/** x [T, width] through weights that `quantisedWeight` made: [T, out]. */
export const quantisedLinear = (x: Value, w: Value): Value =>
  quantisedLinearOp([x, ...w.node.inputs], w.node.attrs as Rows)[0]!;

export const QUANTISED = {
  quantised_linear: quantisedLinearOp.op,
  quantised_weight: quantisedWeightOp.op,
};
