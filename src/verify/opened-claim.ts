// What every way of verifying begins with: the secret, its claim, and how much of it is still to be asked. Nobody has been
// asked yet.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { claimOf, type Opened, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { type Beside, NOTHING_BESIDE, readBeside, readTrusted } from '../proof/beside.ts';
import { keysLeft } from './certificate/burn.ts';
import { checkEvidence, type Found } from './evidence.ts';
import type { DecideOptions } from './verdict.ts';

export interface OpenedClaim {
  readonly contents: SecretContents;
  /** Where the claim was looked for, and where it was found. */
  readonly beside: string;
  readonly claimFile: string | null;
  readonly opened: Opened;
  readonly hasKeys: boolean;
  /** A certificate opened the stamp: whoever has it may have taken the stamp out, or put it in. */
  readonly stampBurnt: boolean;
  readonly burnt: number;
  readonly range: Pick<ReturnType<typeof keysLeft>, 'from' | 'to'>;
  readonly look: number;
  /** What lies beside the claim, and what was found of it. */
  readonly proved: Beside & Found;
}

const NO_KEYS = { from: 0, to: 0, burnt: 0 };

/** @throws WhorlError `bad-secret`, `mismatch`, `missing-file` */
export async function openedClaim(options: {
  readonly secret: string;
  readonly claim?: string | undefined;
  readonly unlock?: Unlock | undefined;
  readonly keys?: number | undefined;
  readonly tsaRoot?: string | undefined;
}): Promise<OpenedClaim> {
  const contents = (await readSecret(options.secret, options.unlock)).reveal();
  const beside = options.claim ?? join(dirname(options.secret), 'claim.json');
  const claimFile = options.claim !== undefined || existsSync(beside) ? beside : null;
  const claim = claimFile === null ? claimOf(contents) : parseClaim(readClaim(claimFile), claimFile);
  const opened = openClaim(claim, contents, claimFile ?? undefined);
  const besides = claimFile === null ? NOTHING_BESIDE : readBeside(claimFile);
  const found = checkEvidence(besides, claim, readTrusted(options.tsaRoot));
  if (found.randomness !== '' && found.randomness !== contents.randomness)
    throw new WhorlError(
      'mismatch',
      'the secret was drawn by another value than that of the beacon round beside the claim',
      'use the secret and claim of one run',
    );
  const hasKeys = opened.plan.keys.length > 0;
  const { burnt, ...range } = hasKeys ? keysLeft(contents, options.keys) : NO_KEYS;
  const { opened: before = [] } = contents;
  const stampBurnt = before.some(({ stamp }) => stamp === true);
  if (stampBurnt && !hasKeys)
    throw new WhorlError(
      'usage',
      'the stamp of this claim was opened by a certificate',
      'whoever has it can take the stamp out: only another claim proves anything anew',
    );
  const look = 1 + before.length;
  return {
    contents,
    beside,
    claimFile,
    opened,
    hasKeys,
    stampBurnt,
    burnt,
    range,
    look,
    proved: { ...found, ...besides },
  };
}

/** Runs with a text seed wrote this time from the beginning, so that a repeated run makes the same commitment. */
const REPEATABLE = new Date(0).toISOString();

/** What it brings into a decision, whoever answers. @param alpha the caller's level, where there is one */
export const decidingOn = (
  claim: OpenedClaim,
  alpha: number | undefined,
): DecideOptions & Pick<OpenedClaim, 'range'> => ({
  ...(alpha === undefined ? {} : { alpha }),
  range: claim.range,
  look: claim.look,
  evidence: claim.proved.evidence,
  doubts: doubtsBeside(claim),
});

export const STAMP_BURNT = 'the stamp, which a certificate opened, is left out: the keys alone decide';

/** What a plan says of it. */
export const notesOn = ({ claimFile, beside, burnt, stampBurnt, range }: OpenedClaim): string[] => [
  ...(claimFile === null ? [`${beside} is missing: the secret's own copy is read`] : []),
  ...(burnt > 0
    ? [
        `${burnt} keys that certificates opened are left out${range.from === range.to ? ': the stamp alone decides' : ''}`,
      ]
    : []),
  ...(stampBurnt ? [STAMP_BURNT] : []),
];

/** Why no p-value may be given for what stands beside the secret. */
function doubtsBeside({ claimFile, beside, contents: { claim, software } }: OpenedClaim): string[] {
  const doubts: string[] = [];
  if (claimFile === null)
    doubts.push(
      `${beside} is missing: the secret's own copy shows no commitment that was ever public (give it with --claim).`,
    );
  const { draw, created } = claim as Claim;
  if (draw.source === 'owner-seed' && !draw.from_text && created === REPEATABLE)
    doubts.push(
      `The seed was given as text to ${software.name} ${software.version}, which did not make it slow to guess: anybody may know the draw.`,
    );
  return doubts;
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (!isNotThere(cause)) throw systemError(cause, path, 'reading') ?? cause;
    throw new WhorlError(
      'missing-file',
      `${path} does not exist`,
      'give the claim.json of the run with --claim',
      { cause },
    );
  }
}
