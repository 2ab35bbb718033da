// The steps of a claim before its training, one by one: commit and stop; prove when; throw public dice. `whorl fingerprint`
// goes on from there. None of them replaces what an earlier one wrote.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkWritable, makeFolder, writeFileAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
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
import { planCommit } from './plan.ts';

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
export const commitRun: Plannable<FingerprintOptions, CommitReport> = plannable(planCommit, async (given) => {
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
export const proveRun: Plannable<ProveOptions, ProveReport> = plannable(planProof, async (options) => {
  const { run, claim, trusted } = readyToProve(options);
  const { response, tsa, request, tsaRoot } = options;
  const { root } = claim;
  if (request !== undefined) {
    writeFileAtomic(request, timeStampRequest(root));
    return { root, file: request, stamp: null };
  }
  const { bytes, nonce } =
    tsa === undefined
      ? { bytes: readSmall(response!, MAX_RESPONSE), nonce: undefined }
      : await askForStamp(tsa, root).then((asked) => ({ bytes: asked.response, nonce: asked.nonce }));
  const { time, authority, anchor } = checkedStamp(bytes, claim, trusted, nonce, tsaRoot);
  return { root, file: keep(run, bytes), stamp: { time: iso(time), authority, anchor } };
});

/** All but the question to an authority and what is written. */
function readyToProve({ run: path, response, tsa, request, tsaRoot }: ProveOptions) {
  const given = [response, tsa, request].filter((one) => one !== undefined);
  if (given.length !== 1)
    throw new WhorlError(
      'usage',
      given.length === 0
        ? 'no way to a time stamp is given'
        : `${given.length} ways to a time stamp are given`,
      'give one of --response, --tsa, --request',
    );
  const run = new RunFolder(path);
  return { run, claim: claimOf(run), trusted: request === undefined ? readTrusted(tsaRoot) : [] };
}

async function planProof(options: ProveOptions): Promise<DryRun> {
  const { run, claim, trusted } = readyToProve(options);
  const { response, request, tsaRoot } = options;
  if (request !== undefined) {
    checkWritable(request);
    return planOf('prove', { writes: [{ path: request, what: `asks for a time stamp of ${claim.root}` }] });
  }
  if (response === undefined)
    return planOf('prove', {
      writes: [{ path: run.proofs, what: "the authority's response, under the next free number" }],
      notes: ['the authority is not asked: whether it answers, and for this claim, is seen then'],
    });
  const bytes = readSmall(response, MAX_RESPONSE);
  const { time, authority } = checkedStamp(bytes, claim, trusted, undefined, tsaRoot);
  const { path, isThere } = placeOf(run, bytes);
  return planOf(
    'prove',
    isThere
      ? { notes: [`${path} is that time stamp already`] }
      : { writes: [{ path, what: `the time stamp of ${iso(time)} by ${authority}` }] },
  );
}

function checkedStamp(
  bytes: Uint8Array,
  claim: Claim,
  trusted: ReturnType<typeof readTrusted>,
  nonce: string | undefined,
  tsaRoot: string | undefined,
): TimeStamp {
  const stamp = checkTimeStamp(bytes, claim.root, trusted);
  const why = whyNoProof(stamp, claim, nonce, tsaRoot);
  if (why !== undefined) throw new WhorlError('mismatch', why, 'nothing was attached');
  return stamp;
}

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
  const { path, isThere } = placeOf(run, bytes);
  if (isThere) return path;
  makeFolder(run.proofs, 0o755);
  writeFileAtomic(path, bytes);
  return path;
}

function placeOf(run: RunFolder, bytes: Uint8Array): { readonly path: string; readonly isThere: boolean } {
  const there = proofFiles(run.proofs);
  const same = there.find((path) => readFileSync(path).equals(bytes));
  if (same !== undefined) return { path: same, isThere: true };
  if (there.length >= MOST_PROOFS)
    throw new WhorlError('exists', `${run.proofs} holds ${MOST_PROOFS} time stamps`, 'remove one');
  let number = there.length + 1;
  while (existsSync(join(run.proofs, `${number}.tsr`))) number++;
  return { path: join(run.proofs, `${number}.tsr`), isThere: false };
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
export const drawRun: Plannable<DrawOptions, DrawReport> = plannable(planDraw, async (options) => {
  const { run, root, draw, kept, proved } = readyToDraw(options);
  if (draw.source !== 'beacon') return { root, source: 'owner-seed', round: null, randomness: null, proved };
  const round = kept ?? (await roundFrom(options.beacon, draw));
  const randomness = committedValue(round, draw);
  if (kept === null) writeJsonAtomic(run.beacon, round);
  return { root, source: 'beacon', round: draw.round, randomness, proved };
});

async function planDraw(options: DrawOptions): Promise<DryRun> {
  const { run, draw, kept } = readyToDraw(options);
  if (draw.source !== 'beacon')
    return planOf('draw', {
      notes: ["the owner's own dice fell when he committed: there is nothing to draw"],
    });
  if (kept !== null) {
    committedValue(kept, draw);
    return planOf('draw', { notes: [`${run.beacon} holds round ${draw.round} already`] });
  }
  const { beacon } = options;
  const address = addressOf(beacon, draw);
  if (address === undefined) committedValue(await roundFrom(beacon, draw), draw);
  return planOf('draw', {
    writes: [{ path: run.beacon, what: `round ${draw.round} of drand's quicknet` }],
    notes: address === undefined ? [] : [`${address} is not asked: its answer is checked then`],
  });
}

type Beacon = Extract<Claim['draw'], { source: 'beacon' }>;

/** What stands beside the claim, checked. */
function readyToDraw({ run: path, beacon: source, tsaRoot }: DrawOptions) {
  const run = new RunFolder(path);
  const { root, draw } = claimOf(run);
  if (draw.source !== 'beacon') {
    if (source !== undefined)
      throw new WhorlError(
        'usage',
        `${run.claim} is committed to the owner's own dice`,
        'leave --beacon out; public dice are committed to with whorl commit --beacon',
      );
    return { run, root, draw, kept: null, proved: 'no' } as const;
  }
  const there = readBeside(run.claim);
  const trusted = readTrusted(tsaRoot);
  const stamps = there.proofs.map((response) => checkTimeStamp(response, root, trusted));
  const early = stamps.filter((stamp) => isBefore(stamp, draw.round));
  const proved: DrawReport['proved'] =
    early.length === 0 ? 'no' : early.some(({ anchor }) => anchor !== null) ? 'anchored' : 'not anchored';
  return { run, root, draw, kept: there.beacon, proved };
}

/** The round's value, hex. @throws WhorlError `mismatch` for another round, or one that its chain did not sign */
function committedValue(round: Round, draw: Beacon): string {
  if (round.round !== draw.round || round.chain !== draw.chain)
    throw new WhorlError(
      'mismatch',
      `beacon round ${round.round} is given, and the claim commits to round ${draw.round}`,
      `give round ${draw.round}`,
    );
  return valueOfRound(round);
}

/** Where the round is asked for; undefined: it is a file. @throws WhorlError for a round that is not to be had yet */
function addressOf(source: string | undefined, { round }: Beacon): string | undefined {
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
  if (!isNumber && !/^https?:\/\//.test(source)) return undefined;
  if (Date.now() < roundTime(round))
    throw new WhorlError(
      'usage',
      `beacon round ${round} comes at ${iso(roundTime(round))}`,
      'draw after that',
    );
  return isNumber ? `${QUICKNET.servers[0]!}/${QUICKNET.hash}/public/${round}` : source;
}

async function roundFrom(source: string | undefined, draw: Beacon): Promise<Round> {
  const address = addressOf(source, draw);
  const bytes = address === undefined ? readSmall(source!, MAX_RESPONSE) : await askForJson(address);
  const answer = parseAnswer(bytes, address ?? source!);
  const kept: Round = { chain: draw.chain, round: answer.round, signature: answer.signature };
  if (
    answer.randomness !== undefined &&
    answer.round === draw.round &&
    answer.randomness !== valueOfRound(kept)
  )
    throw new WhorlError(
      'mismatch',
      `${address ?? source!} gives another value than the round's signature`,
      'take it as drand publishes it',
    );
  return kept;
}

function claimOf(run: RunFolder): Claim {
  if (!existsSync(run.claim))
    throw new WhorlError('missing-file', `${run.claim} does not exist`, 'whorl commit makes it');
  return parseClaim(readFileSync(run.claim, 'utf8'), run.claim);
}
