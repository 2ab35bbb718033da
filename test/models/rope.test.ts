// Which rows of the rotary tables a packed sequence takes.

import { expect, test } from 'vitest';
import { ropeTables } from '../../src/models/blocks/rope.ts';
import { llamaConfig } from '../../src/models/families/llama.ts';
import { packLengths } from '../../src/models/pack.ts';

const { rope } = llamaConfig(
  {
    vocab_size: 8,
    hidden_size: 16,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 8,
    rope_scaling: { type: 'dynamic', factor: 2 },
  },
  'config.json',
);
const HALF = rope.dim / 2;

test('a longer neighbour moves no angle of a sequence, a sequence’s own length does', () => {
  const angles = (lengths: number[], sequence: number) => {
    const packed = packLengths(lengths);
    const { sin, positions } = ropeTables(rope, packed, 4);
    const from = packed.offsets[sequence]!;
    const rows = [...(positions.data as Int32Array).subarray(from, from + lengths[sequence]!)];
    return rows.map((row) => [...(sin.data as Float32Array).subarray(row * HALF, (row + 1) * HALF)]);
  };
  expect(angles([5, 40], 0)).toEqual(angles([5], 0));
  expect(angles([12, 40, 9], 0)).toEqual(angles([12], 0));
  expect(angles([12], 0).slice(0, 5)).not.toEqual(angles([5], 0));
  expect(angles([8], 0).slice(0, 5)).toEqual(angles([5], 0)); // 8 positions are what the model was made for
});

test('a cached prefix is refused where its own angles would be others', () => {
  expect(() => ropeTables(rope, packLengths([4], [5]))).toThrow('beyond the 8 positions');
  expect(() => ropeTables(rope, packLengths([3], [5]))).not.toThrow();
});

test('what a refused prefix names is the kind at hand', () => {
  const longrope = {
    ...rope,
    rope_scaling: {
      ...rope.rope_scaling,
      rope_type: 'longrope' as const,
      original_max_position_embeddings: 8,
      longrope: {
        short_factor: Array(HALF).fill(1) as number[],
        long_factor: Array(HALF).fill(3) as number[],
      },
    },
  };
  expect(() => ropeTables(longrope, packLengths([4], [5]))).toThrow('8 positions up to which longrope');
});
