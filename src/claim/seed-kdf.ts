// A seed given as text made slow to guess: scrypt (RFC 7914), its parameters public in the claim. The salt is a constant,
// because the same text must repeat a run: a short text stays guessable, at half a second and 128 MB a guess.

import { scrypt } from 'node:crypto';
import { z } from 'zod';

export const seedKdfSchema = z.strictObject({
  kdf: z.literal('scrypt'),
  /** Cost (a power of two), block size and parallelisation: memory is 128·n·r bytes. */
  n: z
    .int()
    .min(2)
    .max(2 ** 24),
  r: z.int().min(1).max(64),
  p: z.int().min(1).max(64),
});
export type SeedKdf = z.infer<typeof seedKdfSchema>;

/** What OWASP's Password Storage Cheat Sheet names first for scrypt. */
export const SEED_KDF: SeedKdf = { kdf: 'scrypt', n: 2 ** 17, r: 8, p: 1 };
const SALT = 'whorl-run-seed-v2';

/** 256 bits, hex, out of a text of any length (UTF-8, as it is: no normalisation). */
export function stretchSeed(text: string, { n, r, p }: SeedKdf = SEED_KDF): Promise<string> {
  const options = { N: n, r, p, maxmem: 2 * 128 * n * r };
  return new Promise((resolve, reject) => {
    scrypt(text, SALT, 32, options, (error, key) => (error ? reject(error) : resolve(key.toString('hex'))));
  });
}
