// Opening a claim: everything the owner says later against what the commitment bound, and the draw made anew.
// Only what passed here is shown to the exact tests.

import { WhorlError } from '../base/error.ts';
import { adapterDigest } from './adapter.ts';
import { canonicalJson } from './canonical.ts';
import { type Claim, claimFromValue } from './claim.ts';
import { checkCommitment } from './commitment.ts';
import { type Draw, makeDraw, pickedDraw } from './draw.ts';
import { CLAIM_KINDS, type KeyRole } from './kinds.ts';
import type { Bindings, ClaimKind, ClaimPlan } from './plan.ts';
import type { SecretContents } from './secret-contents.ts';
import { type DrawnStamp, drawStamp } from './stamp.ts';

/** A claim whose every part was recomputed. Holds keys: keep it inside a Secret or a call. */
export interface OpenedOf<K extends ClaimKind> {
  readonly kind: K;
  readonly claim: Claim<K>;
  readonly plan: ClaimPlan<K>;
  readonly bindings: Bindings;
  readonly draw: Draw<K>;
  /** The second channel, where the claim has one. */
  readonly stamp?: DrawnStamp;
}
export type Opened = { [K in ClaimKind]: OpenedOf<K> }[ClaimKind];

/**
 * Recomputes the commitment and the draw. Throws WhorlError 'mismatch' naming the first part of claim or secret
 * that is not as committed.
 * @param file where the claim was read, for messages
 */
export function openClaim(claim: Claim, secret: SecretContents, file = 'claim.json'): Opened {
  if (canonicalJson(claim) !== canonicalJson(secret.claim)) differs(file);
  const { draw: recorded } = secret;
  if (recorded === null)
    throw new WhorlError(
      'mismatch',
      'the secret is of a claim that was not drawn yet',
      'whorl draw RUN, then whorl fingerprint --out RUN',
    );
  if (claim.kind !== recorded.kind) differs('the draw');
  checkCommitment(claim, secret.plan, secret.bindings, secret.opening, recorded, file);
  const draw = drawnAgain(claim, secret, recorded);
  if (canonicalJson(draw) !== canonicalJson(recorded)) differs('the draw');
  checkPrivatePart(secret);
  checkRows(secret);
  const { plan, bindings, opening, randomness } = secret;
  const stamp =
    plan.stamp && opening.owner_seed !== null
      ? { stamp: drawStamp(plan.stamp, claim.root, opening.owner_seed, randomness) }
      : {};
  return { kind: claim.kind, claim, plan, bindings, draw, ...stamp } as Opened;
}

/** The copy of the public claim that a secret carries. */
export const claimOf = (secret: SecretContents): Claim =>
  claimFromValue(secret.claim, 'the claim in the secret');

/** What each key was trained for, in committed order. */
export function keyRoles(opened: Opened): KeyRole[] {
  return rolesOf(opened as OpenedOf<ClaimKind>);
}
function rolesOf<K extends ClaimKind>({ kind, plan, draw }: OpenedOf<K>): KeyRole[] {
  return CLAIM_KINDS[kind].roles(plan, draw);
}

function differs(what: string): never {
  throw new WhorlError(
    'mismatch',
    `${what} does not belong to this secret`,
    'use the secret and claim of one run',
  );
}

function drawnAgain(
  claim: Claim,
  secret: SecretContents,
  recorded: NonNullable<SecretContents['draw']>,
): Draw {
  const seed = secret.opening.owner_seed;
  if (seed === null) return pickedDraw(claim, recorded);
  if ((claim.draw.source === 'beacon') !== (secret.randomness !== null)) differs("the beacon's value");
  return makeDraw(claim, seed, secret.randomness);
}

function checkPrivatePart({ adapter, bindings: { private_part } }: SecretContents): void {
  if ((private_part.state === 'none') !== (adapter === null)) differs('the adapter');
  if (private_part.state === 'committed' && adapterDigest(adapter!) !== private_part.digest)
    differs('the adapter');
}

function checkRows({ rows, bindings }: SecretContents): void {
  if (rows === null) return;
  const allowed = new Set(bindings.trainable_rows);
  if (rows.ids.some((id, i) => !allowed.has(id) || (i > 0 && id <= rows.ids[i - 1]!)))
    differs('a trained row outside the committed ones');
  const bytes = rows.ids.length * rows.width * (rows.dtype === 'float32' ? 4 : 2);
  for (const data of [rows.vanilla, rows.published])
    if (Buffer.byteLength(data, 'base64') !== bytes) differs('the record of trained rows');
}
