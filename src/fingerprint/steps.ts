// The steps of a claim before its training, one by one: commit and stop; prove when; throw public dice. `whorl fingerprint`
// goes on from there. None of them replaces what an earlier one wrote.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { makeFolder, writeFileAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { askForJson, askForStamp, timeStampRequest } from '../proof/ask.ts';
import { MOST_PROOFS, parseAnswer, proofFiles, readBeside, readSmall, readTrusted } from '../proof/beside.ts';
import { iso } from '../proof/certificates.ts';
import { QUICKNET, type Round, roundTime, valueOfRound } from '../proof/drand.ts';
import { isBefore, whyTooLate, whyTooOld } from '../proof/order.ts';
import { checkTimeStamp, MAX_RESPONSE, type TimeStamp } from '../proof/time-stamp.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { begin } from './begin.ts';
import { commitOnly } from './commit.ts';
import type { FingerprintOptions } from './options.ts';

export interface CommitReport {
  /** Paths of the public claim and of the secret. */
  readonly claim: string;
  readonly secret: string;
  readonly root: string;
  readonly draw: Claim['draw'];
  /** When the dice come, ISO 8601; null where they are the owner's own. */
  readonly drawn_at: string | null;
}

/** Keys, plan and commitment, and nothing after them. @throws WhorlError what `fingerprint` throws before its draw */
export const commitRun = (options: FingerprintOptions): Promise<CommitReport> =>
  abortable(options, async (given) => {
    const setting = await begin(given);
    const { root, draw } = await commitOnly(setting);
    const { run } = setting;
    const drawn_at = draw.source === 'beacon' ? iso(roundTime(draw.round)) : null;
    return { claim: run.claim, secret: run.secret, root, draw, drawn_at };
  });

export interface ProveOptions extends Abortable {
  readonly run: string;
  /** A file with an authority's response (RFC 3161, DER). */
  readonly response?: string;
  /** Or the address of an authority that is asked. */
  readonly tsa?: string;
  /** Or a file that the request is written to, for who has no network here. */
  readonly request?: string;
  /** A file with certificates that the response must lead to; default: it is kept, and said not to be anchored. */
  readonly tsaRoot?: string;
  readonly onEvent?: OnEvent;
}

export interface ProveReport {
  readonly root: string;
  /** The request that was written, or the response that was kept. */
  readonly file: string;
  /** Null where only a request was written. */
  readonly stamp: null | {
    readonly time: string;
    readonly authority: string;
    /** SHA-256 of the trusted certificate that it leads to; null: none. */
    readonly anchor: string | null;
  };
}

/**
 * Attaches a time stamp of the claim's root, which is its digest.
 * @throws WhorlError `mismatch` for one that does not hold, is of another claim, or comes too late for the claim's dice
 */
export const proveRun = (options: ProveOptions): Promise<ProveReport> =>
  abortable(options, async ({ run: path, response, tsa, request, tsaRoot }) => {
    const given = [response, tsa, request].filter((one) => one !== undefined);
    if (given.length !== 1)
      throw new WhorlError(
        'usage',
        `${given.length} ways to a time stamp are given`,
        'give one of response, tsa, request',
      );
    const run = new RunFolder(path);
    const claim = claimOf(run);
    const { root } = claim;
    if (request !== undefined) {
      writeFileAtomic(request, timeStampRequest(root));
      return { root, file: request, stamp: null };
    }
    const trusted = readTrusted(tsaRoot);
    const { bytes, nonce } =
      tsa === undefined
        ? { bytes: readSmall(response!, MAX_RESPONSE), nonce: undefined }
        : await askForStamp(tsa, root).then((asked) => ({ bytes: asked.response, nonce: asked.nonce }));
    const stamp = checkTimeStamp(bytes, root, trusted);
    const why = whyNoProof(stamp, claim, nonce, tsaRoot);
    if (why !== undefined) throw new WhorlError('mismatch', why, 'nothing was attached');
    const { time, authority, anchor } = stamp;
    return { root, file: keep(run, bytes), stamp: { time: iso(time), authority, anchor } };
  });

function whyNoProof(
  stamp: TimeStamp,
  { draw, created }: Claim,
  nonce: string | undefined,
  tsaRoot: string | undefined,
): string | undefined {
  if (nonce !== undefined && stamp.nonce !== nonce) return 'the authority answers another request (nonce)';
  if (tsaRoot !== undefined && stamp.anchor === null)
    return `the certificate of the time stamp (${stamp.authority}) does not lead to one in ${tsaRoot}`;
  return whyTooOld(stamp, created) ?? (draw.source === 'beacon' ? whyTooLate(stamp, draw.round) : undefined);
}

/** Under the next free number; a response that is there is not kept twice. */
function keep(run: RunFolder, bytes: Uint8Array): string {
  const there = proofFiles(run.proofs);
  const same = there.find((path) => readFileSync(path).equals(bytes));
  if (same !== undefined) return same;
  if (there.length >= MOST_PROOFS)
    throw new WhorlError('exists', `${run.proofs} holds ${MOST_PROOFS} time stamps`, 'remove one');
  makeFolder(run.proofs, 0o755);
  let number = there.length + 1;
  while (existsSync(join(run.proofs, `${number}.tsr`))) number++;
  const path = join(run.proofs, `${number}.tsr`);
  writeFileAtomic(path, bytes);
  return path;
}

export interface DrawOptions extends Abortable {
  readonly run: string;
  /** The committed round: a file or an address that has it, or its number, which drand is asked for. */
  readonly beacon?: string;
  /** As for `proveRun`: whether a time stamp that counts is there is said in the report. */
  readonly tsaRoot?: string;
  readonly onEvent?: OnEvent;
}

export interface DrawReport {
  readonly root: string;
  readonly source: 'owner-seed' | 'beacon';
  readonly round: number | null;
  /** Value of the round, hex. */
  readonly randomness: string | null;
  /** Whether a time stamp is there that is earlier than the round, and whether it leads to a trusted certificate. */
  readonly proved: 'no' | 'not anchored' | 'anchored';
}

/**
 * Throws the dice that the claim commits to. The owner's own fell when he committed: then there is nothing to do.
 * @throws WhorlError `mismatch` for another round than the committed one, or one that drand's chain did not sign
 */
export const drawRun = (options: DrawOptions): Promise<DrawReport> =>
  abortable(options, async ({ run: path, beacon: source, tsaRoot }) => {
    const run = new RunFolder(path);
    const claim = claimOf(run);
    const { root, draw } = claim;
    if (draw.source !== 'beacon') {
      if (source !== undefined)
        throw new WhorlError(
          'usage',
          `${run.claim} is committed to the owner's own dice`,
          'leave --beacon out; public dice are committed to with whorl commit --beacon',
        );
      return { root, source: 'owner-seed', round: null, randomness: null, proved: 'no' };
    }
    const there = readBeside(run.claim);
    const trusted = readTrusted(tsaRoot);
    const stamps = there.proofs.map((response) => checkTimeStamp(response, root, trusted));
    const early = stamps.filter((stamp) => isBefore(stamp, draw.round));
    const proved =
      early.length === 0 ? 'no' : early.some(({ anchor }) => anchor !== null) ? 'anchored' : 'not anchored';
    const round = there.beacon ?? (await roundFrom(source, draw));
    if (round.round !== draw.round || round.chain !== draw.chain)
      throw new WhorlError(
        'mismatch',
        `beacon round ${round.round} is given, and the claim commits to round ${draw.round}`,
        `give round ${draw.round}`,
      );
    const randomness = valueOfRound(round);
    if (there.beacon === null) writeJsonAtomic(run.beacon, round);
    return { root, source: 'beacon', round: draw.round, randomness, proved };
  });

async function roundFrom(
  source: string | undefined,
  { round, chain }: Extract<Claim['draw'], { source: 'beacon' }>,
): Promise<Round> {
  if (source === undefined)
    throw new WhorlError(
      'usage',
      `the claim commits to beacon round ${round}`,
      `give it: --beacon ${round}, a file or an address`,
    );
  const isNumber = /^\d+$/.test(source);
  if (isNumber && Number(source) !== round)
    throw new WhorlError(
      'mismatch',
      `beacon round ${source} is given, and the claim commits to round ${round}`,
      `give round ${round}`,
    );
  const isAddress = /^https?:\/\//.test(source);
  if ((isNumber || isAddress) && Date.now() < roundTime(round))
    throw new WhorlError(
      'usage',
      `beacon round ${round} comes at ${iso(roundTime(round))}`,
      'draw after that',
    );
  const address = isNumber ? `${QUICKNET.servers[0]!}/${QUICKNET.hash}/public/${round}` : source;
  const bytes = isNumber || isAddress ? await askForJson(address) : readSmall(source, MAX_RESPONSE);
  const answer = parseAnswer(bytes, address);
  const kept: Round = { chain, round: answer.round, signature: answer.signature };
  if (answer.randomness !== undefined && answer.round === round && answer.randomness !== valueOfRound(kept))
    throw new WhorlError(
      'mismatch',
      `${address} gives another value than the round's signature`,
      'take it as drand publishes it',
    );
  return kept;
}

function claimOf(run: RunFolder): Claim {
  if (!existsSync(run.claim))
    throw new WhorlError('missing-file', `${run.claim} does not exist`, 'whorl commit makes it');
  return parseClaim(readFileSync(run.claim, 'utf8'), run.claim);
}
