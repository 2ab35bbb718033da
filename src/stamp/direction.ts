// The secret direction of one tensor: an endless row of normal numbers out of a key, in blocks that can be made in any
// order. A block of a key's stream holds 32,768 little-endian words.

import { assert } from '../base/error.ts';
import { STREAM_BLOCK, streamBlock } from '../base/random-source.ts';
import { normalCells } from './normal-cells.ts';

/** Numbers in a block. */
export const BLOCK = STREAM_BLOCK / 2;

/**
 * Numbers `from`…`from + into.length - 1` of the direction, in steps of `STEP`; `from` is the beginning of a block.
 * @param key 32 bytes
 */
export function fillDirection(key: Uint8Array, from: number, into: Int16Array): void {
  assert(from % BLOCK === 0, 'a direction begins at a block');
  const cells = normalCells();
  for (let at = 0; at < into.length; at += BLOCK) {
    const count = Math.min(BLOCK, into.length - at);
    const bytes = streamBlock(key, (from + at) / BLOCK, 2 * count);
    for (let i = 0; i < count; i++) into[at + i] = cells[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
  }
}
