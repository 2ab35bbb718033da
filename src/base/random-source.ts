// Where whole numbers come from: the platform's secure generator, or a seed whose draws anyone can repeat.

import { createHash, createHmac, randomInt } from 'node:crypto';
import { assert } from './error.ts';

export interface RandomSource {
  /** A whole number in [0, bound), each as likely; 1 <= bound <= 2^32. */
  int(bound: number): number;
}

const MAX_BOUND = 2 ** 32;

/** The platform's secure generator: for owners' keys. */
export const platformRandom = (): RandomSource => ({
  int(bound) {
    checkBound(bound);
    return randomInt(bound);
  },
});

/**
 * The same draws for the same seed, on every machine and in every version.
 * Block i is HMAC-SHA256(key = `whorl-random-v1` || 0 || tag || seed, message = i as 8 bytes, big-endian), read as
 * eight big-endian uint32. A draw takes the next word w; w >= 2^32 - (2^32 mod bound) is thrown away; else w mod bound.
 * The tag is `n`, `s` or `b`: a bigint (decimal digits), a string (UTF-8) and bytes never collide.
 */
export function seededRandom(seed: bigint | string | Uint8Array): RandomSource {
  const tag = typeof seed === 'bigint' ? 'n' : typeof seed === 'string' ? 's' : 'b';
  const body = seed instanceof Uint8Array ? seed : Buffer.from(String(seed), 'utf8');
  const key = Buffer.concat([Buffer.from(`whorl-random-v1\0${tag}`), body]);
  let block: Buffer = Buffer.alloc(0);
  let at = 0;
  let counter = 0n;
  const word = (): number => {
    if (at === block.length) {
      const message = Buffer.alloc(8);
      message.writeBigUInt64BE(counter++);
      block = createHmac('sha256', key).update(message).digest();
      at = 0;
    }
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  return { int: (bound) => below(bound, word) };
}

/** Bytes of a block of an endless stream; a shorter one is its beginning. */
export const STREAM_BLOCK = 2 ** 16;

/** Block b of the endless stream of a key: SHAKE256(key ‖ b as 8 bytes, little-endian) (FIPS 202). */
export function streamBlock(key: Uint8Array, block: number, bytes = STREAM_BLOCK): Buffer {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64LE(BigInt(block));
  return createHash('shake256', { outputLength: bytes }).update(key).update(counter).digest();
}

/** The same for many millions of draws: words are those of a key's endless stream, big-endian. */
export function bulkRandom(key: Uint8Array): RandomSource {
  let block: Buffer = Buffer.alloc(0);
  let [next, at] = [0, 0];
  const word = (): number => {
    if (at === block.length) {
      block = streamBlock(key, next++);
      at = 0;
    }
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  return { int: (bound) => below(bound, word) };
}

function below(bound: number, word: () => number): number {
  checkBound(bound);
  const limit = MAX_BOUND - (MAX_BOUND % bound);
  for (;;) {
    const drawn = word();
    if (drawn < limit) return drawn % bound;
  }
}

/** A standard normal by Box and Muller. */
export function normal(random: RandomSource): number {
  const u = (random.int(2 ** 32) + 1) / 2 ** 32;
  const v = random.int(2 ** 32) / 2 ** 32;
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** One of `list`. */
export function choose<T>(random: RandomSource, list: readonly T[]): T {
  assert(list.length > 0, 'a choice from nothing');
  return list[random.int(list.length)]!;
}

/** A new list in random order (Fisher-Yates from the end). */
export function shuffled<T>(random: RandomSource, list: readonly T[]): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function checkBound(bound: number): void {
  assert(Number.isInteger(bound) && bound >= 1 && bound <= MAX_BOUND, `a draw below ${bound}`);
}
