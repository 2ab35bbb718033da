// What lies beside a claim: a beacon's round and proofs of time. Each is checked offline or counts as nothing.

import { WhorlError } from '../../base/error.ts';
import type { Claim } from '../../claim/claim.ts';
import type { Evidence } from '../exactness.ts';
import type { Predicate } from './statement.ts';

export interface EvidenceOptions {
  /** PEM texts of the roots of time stamping authorities that the judge trusts; default: none. */
  readonly tsaRoots?: readonly string[];
}

export interface Found {
  readonly evidence: Evidence;
  /** What the draw takes beside the owner's seed: hex, empty where the dice are the owner's alone. */
  readonly randomness: string;
}

/** @throws WhorlError `mismatch` where a beacon or a proof is not what the claim needs */
export function checkEvidence(
  { beacon, proofs }: Pick<Predicate, 'beacon' | 'proofs'>,
  { draw }: Claim,
  _options: EvidenceOptions,
): Found {
  if (draw.source === 'beacon' || beacon !== null || proofs.length > 0)
    throw new WhorlError('unsupported', 'beacons and proofs of time are not checked by this version');
  return { evidence: { beacon: false, proofBeforeRound: false }, randomness: '' };
}
