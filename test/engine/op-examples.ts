// Every op's examples with numbers in them: what the generic op test runs, and what goldens/ops/make.py answers.

import type { OpExample } from '../../src/engine/graph.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { type Dtype, elements, type FloatDtype } from '../../src/tensor/tensor.ts';

export interface Drawn {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The numbers; of half precision the bits, so that whoever reads them decides what they mean. */
  readonly data: readonly number[];
  /** The bytes of one that lies in a file. */
  readonly stored?: Uint8Array;
}

/** Numbers between −1 and 1, the same for the same seed. */
export function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** The inputs of the example at this place of its op's list. */
export function drawn({ inputs }: OpExample, place: number): Drawn[] {
  const next = uniform(place + 1);
  return inputs.map(({ shape, dtype = 'float32', values, positive, stored }) => {
    const given =
      values ?? Array.from({ length: elements(shape) }, () => (positive ? Math.abs(next()) + 0.5 : next()));
    const data = dtype === 'float32' ? given.map(Math.fround) : given;
    if (!stored) return { dtype, shape, data };
    const bytes = fromFloat32(Float32Array.from(given), dtype as FloatDtype);
    return {
      dtype,
      shape,
      data: dtype === 'float32' ? data : [...new Uint16Array(bytes.buffer)],
      stored: bytes,
    };
  });
}
