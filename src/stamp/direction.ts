// The secret direction of one tensor: an endless row of normal numbers out of a key, in blocks that can be made in any
// order. Block b is SHAKE256(key ‖ b as 8 bytes, little-endian), 65,536 bytes: 32,768 little-endian words (FIPS 202).

import { createHash } from 'node:crypto';
import { assert } from '../base/error.ts';
import { normalCells } from './normal-cells.ts';

/** Numbers in a block. */
export const BLOCK = 32_768;

/**
 * Numbers `from`…`from + into.length - 1` of the direction, in steps of `STEP`; `from` is the beginning of a block.
 * @param key 32 bytes
 */
export function fillDirection(key: Uint8Array, from: number, into: Int16Array): void {
  assert(from % BLOCK === 0, 'a direction begins at a block');
  const cells = normalCells();
  const counter = Buffer.alloc(8);
  for (let at = 0; at < into.length; at += BLOCK) {
    counter.writeBigUInt64LE(BigInt((from + at) / BLOCK));
    const count = Math.min(BLOCK, into.length - at);
    const hash = createHash('shake256', { outputLength: 2 * count }); // a shorter output is the beginning of a longer one
    const bytes = hash.update(key).update(counter).digest();
    for (let i = 0; i < count; i++) into[at + i] = cells[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
  }
}
