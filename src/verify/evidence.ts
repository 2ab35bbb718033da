// What lies beside a claim, checked: the round that it was drawn from, and time stamps of it (docs/claims.md, section 5).

import { WhorlError } from '../base/error.ts';
import type { Claim } from '../claim/claim.ts';
import type { Beside } from '../proof/beside.ts';
import type { TsaCertificate } from '../proof/certificates.ts';
import { valueOfRound } from '../proof/drand.ts';
import { isBefore, whyTooOld } from '../proof/order.ts';
import { checkTimeStamp, stampText, type TimeStamp } from '../proof/time-stamp.ts';
import type { Evidence } from './exactness.ts';

export interface Found {
  /** For one who trusts the given certificates, and nobody else. */
  readonly evidence: Evidence;
  /** The same for one who trusted every authority that signed: what an owner may have seen. */
  readonly atBest: Evidence;
  /** What the draw takes beside the owner's seed: hex, empty where the dice are the owner's alone. */
  readonly randomness: string;
  readonly stamps: readonly TimeStamp[];
}

const wrong = (what: string): never => {
  throw new WhorlError('mismatch', what, 'use what belongs to one claim');
};

/** @throws WhorlError `mismatch` or `bad-file` for a round or a stamp that is not this claim's, or does not hold */
export function checkEvidence(
  { beacon, proofs }: Beside,
  { draw, root, created }: Claim,
  trusted: readonly TsaCertificate[],
): Found {
  if (draw.source !== 'beacon' && beacon !== null)
    wrong(`a beacon round lies beside a claim that is not drawn from one (${draw.source})`);
  if (
    draw.source === 'beacon' &&
    beacon !== null &&
    (beacon.round !== draw.round || beacon.chain !== draw.chain)
  )
    wrong(`beacon round ${beacon.round} is not the one that the claim commits to (${draw.round})`);
  const randomness = beacon === null ? '' : valueOfRound(beacon);
  const stamps = proofs.map((response) => checkTimeStamp(response, root, trusted));
  for (const stamp of stamps) {
    const why = whyTooOld(stamp, created);
    if (why !== undefined) wrong(why);
  }
  const early = draw.source === 'beacon' ? stamps.filter((stamp) => isBefore(stamp, draw.round)) : [];
  const common = { beacon: beacon !== null, stamps: stamps.map(stampText) };
  return {
    evidence: { ...common, proofBeforeRound: early.some(({ anchor }) => anchor !== null) },
    atBest: { ...common, proofBeforeRound: early.length > 0 },
    randomness,
    stamps,
  };
}
