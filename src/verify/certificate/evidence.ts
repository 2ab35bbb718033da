// What lies beside a claim: a beacon's round and proofs of time. Neither is checked as yet, so a certificate may have neither.

import { WhorlError } from '../../base/error.ts';
import type { Claim } from '../../claim/claim.ts';
import { type Evidence, NO_EVIDENCE } from '../exactness.ts';
import type { Predicate } from './statement.ts';

export interface Found {
  readonly evidence: Evidence;
  /** What the draw takes beside the owner's seed: hex, empty where the dice are the owner's alone. */
  readonly randomness: string;
}

/** @throws WhorlError `unsupported` where a beacon or a proof would have to be checked */
export function checkEvidence(
  { beacon, proofs }: Pick<Predicate, 'beacon' | 'proofs'>,
  { draw }: Claim,
): Found {
  if (draw.source === 'beacon' || beacon !== null || proofs.length > 0)
    throw new WhorlError(
      'unsupported',
      'beacons and proofs of time are not checked by this version',
      'update Whorl',
    );
  return { evidence: NO_EVIDENCE, randomness: '' };
}
