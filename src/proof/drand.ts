// Public dice: a round of drand's quicknet, whose signature is checked offline under the chain's pinned key. A round's value is
// unknown to everybody before its time, and a threshold of the League of Entropy's nodes must sign to make one.

import { bls12_381 } from '@noble/curves/bls12-381.js';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';

export interface Chain {
  readonly name: string;
  /** SHA-256 of period, genesis, public key, group and name, by which drand calls the chain. */
  readonly hash: string;
  /** Compressed point of G2, 96 bytes, hex. */
  readonly publicKey: string;
  /** Unix seconds of round 1, and seconds from one round to the next. */
  readonly genesis: number;
  readonly period: number;
  /** Where a round is asked for by number. */
  readonly servers: readonly string[];
}

/**
 * As drand publishes it (https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971/info; scheme
 * bls-unchained-g1-rfc9380). The hash covers the key, and a test makes it anew.
 */
export const QUICKNET: Chain = {
  name: 'quicknet',
  hash: '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesis: 1_692_803_367,
  period: 3,
  servers: ['https://api.drand.sh'],
};

/** What is signed is hashed to G1 under this name (RFC 9380, 3.1). */
const DOMAIN = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';

export const roundNumber = z.int().min(1).max(0x7fffffff);
export const roundSchema = z.strictObject({
  chain: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
  round: roundNumber,
  /** Compressed point of G1, 48 bytes. */
  signature: z.string().regex(/^[0-9a-f]{96}$/, 'must be 96 lower-case hex digits'),
});
/** A round as it is kept: beacon.json, and in a certificate. Its value follows from the signature. */
export type Round = z.infer<typeof roundSchema>;

/** Milliseconds since 1970 at which a round is made; nobody has it before. */
export const roundTime = (round: number, { genesis, period }: Chain = QUICKNET): number =>
  1000 * (genesis + (round - 1) * period);

/** The first round at or after a time in milliseconds. */
export const roundFrom = (time: number, { genesis, period }: Chain = QUICKNET): number =>
  Math.max(1, Math.ceil((time / 1000 - genesis) / period) + 1);

/**
 * The value of a round, 64 hex digits: SHA-256 of its signature, as drand has it.
 * @throws WhorlError `mismatch` where it is of another chain, or not signed by the chain's key for this number
 */
export function valueOfRound({ chain, round, signature }: Round, of: Chain = QUICKNET): string {
  if (chain !== of.hash)
    throw new WhorlError(
      'mismatch',
      `beacon round ${round} is of chain ${chain.slice(0, 16)}…, not of drand's ${of.name}`,
      `take the round from chain ${of.hash}`,
    );
  if (!isSigned(round, signature, of))
    throw new WhorlError(
      'mismatch',
      `the signature of beacon round ${round} is not one by drand's ${of.name} for this round`,
      'take the round as drand publishes it',
    );
  return sha256Hex(Buffer.from(signature, 'hex'));
}

function isSigned(round: number, signature: string, { publicKey }: Chain): boolean {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(round));
  const message = Buffer.from(sha256Hex(number), 'hex');
  const { shortSignatures: scheme, G2 } = bls12_381;
  try {
    return scheme.verify(
      scheme.Signature.fromHex(signature),
      scheme.hash(message, DOMAIN),
      G2.Point.fromHex(publicKey),
    );
  } catch {
    return false; // no point of the curve, or of a wrong subgroup
  }
}
