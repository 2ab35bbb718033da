// Salted Merkle tree over the leaves of a claim, shaped as in RFC 6962 (section 2.1): a leaf hides its content
// behind 256 random bits, leaves and nodes hash under different first bytes, so neither passes for the other.

import { createHash } from 'node:crypto';
import { assert } from '../base/error.ts';
import { canonicalBytes, type Json } from './canonical.ts';

export const SALT_BYTES = 32;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hashes beside the way from leaf `place` up to the root, the lowest first (RFC 6962, section 2.1.1). */
export function merklePath(leaves: readonly Uint8Array[], place: number): Uint8Array[] {
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  return place < split
    ? [...merklePath(leaves.slice(0, split), place), merkleRoot(leaves.slice(split))]
    : [...merklePath(leaves.slice(split), place - split), merkleRoot(leaves.slice(0, split))];
}

/** The root that a leaf at `place` of `count` has by its path; undefined where the path is not of that length. */
export function rootByPath(
  leaf: Uint8Array,
  place: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (count === 1) return path.length === 0 ? leaf : undefined;
  const beside = path.at(-1);
  if (beside === undefined) return undefined;
  const split = splitOf(count);
  const left = place < split;
  const own = left
    ? rootByPath(leaf, place, split, path.slice(0, -1))
    : rootByPath(leaf, place - split, count - split, path.slice(0, -1));
  return own && (left ? sha256(NODE, own, beside) : sha256(NODE, beside, own));
}

/** The largest power of two below `count`. */
const splitOf = (count: number): number => 2 ** (Math.ceil(Math.log2(count)) - 1);

const sha256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** A named value of the claim; the name lies inside the hash. */
export type Leaf = readonly [name: string, value: Json];

/** SHA-256(0x00 || salt[32] || canonical JSON of [name, value]). */
export function leafHash(leaf: Leaf, salt: Uint8Array): Uint8Array {
  assert(salt.length === SALT_BYTES, 'a leaf needs a salt of 256 bits');
  return sha256(LEAF, salt, canonicalBytes(leaf));
}

/** SHA-256(0x01 || left || right), split at the largest power of two below the number of leaves. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  assert(leaves.length > 0, 'a tree without leaves');
  if (leaves.length === 1) return leaves[0]!;
  const split = splitOf(leaves.length);
  return sha256(NODE, merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}
