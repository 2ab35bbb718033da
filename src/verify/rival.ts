// `whorl rival`: two claims to one model's descent. Each is asked of both models as `verify` asks it; then times and marks
// say who was first, or that nothing does.

import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { SOFTWARE } from '../base/software.ts';
import type { Unlock } from '../claim/secret-file.ts';
import type { ComputeOptions } from '../engine/session-device.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import { type OpenedClaim, openedClaim } from './opened-claim.ts';
import type { EndpointOptions, VerifyReport } from './report.ts';
import { type Finding, findingOf, type RivalWord, rivalWord, SIDES, type SideName } from './rival-word.ts';
import { verify } from './verify.ts';

export interface RivalClaim {
  readonly secret: string;
  /** Default: claim.json beside the secret. */
  readonly claim?: string;
  /** What this side published: a folder, a GGUF file, a hub id; with `endpoint` the address of a server's API. */
  readonly model: string;
  readonly endpoint?: EndpointOptions;
  /** Of a claim with a stamp: this side's vanilla model, which both models' matrices are compared with. Default: they are read alone. */
  readonly vanilla?: string;
  readonly unlock?: Unlock;
}

export interface RivalOptions extends ComputeOptions, ConfigOptions, Abortable {
  readonly a: RivalClaim;
  readonly b: RivalClaim;
  /** A file with certificates of time-stamp authorities that the caller trusts (PEM, or one in DER); without it no time is proved. */
  readonly tsaRoot?: string;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface RivalMark {
  readonly finding: Finding;
  /** What `verify` said; null where the claim cannot be asked of this model. */
  readonly verdict: VerifyReport['verdict'] | null;
  readonly log10_p: number | null;
  readonly log10_p_after_grinding: number | null;
  readonly reason: string;
}

export interface RivalSideReport {
  readonly root: string;
  readonly version: number;
  /** What the claim says of itself. */
  readonly created: string;
  /** The latest that the earliest trusted time stamp can be of; null where there is none. */
  readonly proved: string | null;
  readonly model: string;
  /** SHA-256 of the model's weights; null behind a server. */
  readonly weights: string | null;
  /** This claim's mark in the model of each side. */
  readonly marks: Readonly<Record<SideName, RivalMark>>;
}

export interface RivalReport extends RivalWord {
  readonly a: RivalSideReport;
  readonly b: RivalSideReport;
  readonly does_not_say: readonly string[];
  readonly software: typeof SOFTWARE;
  readonly seconds: number;
}

const DOES_NOT_SAY: readonly string[] = [
  'who made the model: only whose claim was there first, of these two',
  'that the other claimant took it himself: he may have had it from somebody else',
  'that there is no third claim, older than both',
  'anything, where it is undecided: marks can be taken off, and answers filtered',
];

/**
 * @throws WhorlError `usage` for one claim given twice, `bad-secret`, `mismatch`, `missing-file` for a secret or a claim that does
 *   not hold, and what opening the models throws. A claim that does not fit the other's model is no error: it is not decided
 */
export const rival = (options: RivalOptions): Promise<RivalReport> => abortable(options, compared);

async function compared(options: RivalOptions & { readonly onEvent: OnEvent }): Promise<RivalReport> {
  const started = Date.now();
  const { tsaRoot } = options;
  const claims = await onEachSide((side) =>
    openedClaim({ ...options[side], ...(tsaRoot !== undefined && { tsaRoot }) }),
  );
  const roots = SIDES.map((side) => claims[side].opened.claim.root);
  if (roots[0] === roots[1])
    throw new WhorlError('usage', 'both secrets are of one claim', 'give the secret of each claimant');
  const reports = await onEachSide((side) => onEachSide((model) => asked(options, side, model)));
  const weights = (side: SideName): string | null =>
    SIDES.flatMap((by) => digestIn(reports[by][side]) ?? [])[0] ?? null;
  const sides = eachSide((side): RivalSideReport => {
    const { claim } = claims[side].opened;
    const proved = provedTime(claims[side]);
    return {
      root: claim.root,
      version: claim.version,
      created: claim.created,
      proved: proved === null ? null : new Date(proved).toISOString(),
      model: options[side].model,
      weights: weights(side),
      marks: eachSide((model) => markOf(reports[side][model])),
    };
  });
  const word = rivalWord(
    eachSide((side) => ({
      proved: provedTime(claims[side]),
      marks: eachSide((model) => sides[side].marks[model].finding),
    })),
    isOne(options, sides),
  );
  return {
    ...word,
    ...sides,
    does_not_say: DOES_NOT_SAY,
    software: SOFTWARE,
    seconds: (Date.now() - started) / 1000,
  };
}

function isOne({ a, b }: RivalOptions, sides: Readonly<Record<SideName, RivalSideReport>>): boolean {
  if (a.endpoint && b.endpoint) return a.model === b.model && a.endpoint.model_name === b.endpoint.model_name;
  return sides.a.weights !== null && sides.a.weights === sides.b.weights;
}

/** Of a claim that a model's shape or server keeps from being asked. */
const NOT_ASKED = new Set(['mismatch', 'unsupported']);

async function asked(
  { a, b, onEvent, ...options }: RivalOptions & { readonly onEvent: OnEvent },
  side: SideName,
  of: SideName,
): Promise<VerifyReport | WhorlError> {
  const { model: _, endpoint: __, vanilla, ...own } = { a, b }[side];
  const { model: suspect, endpoint } = { a, b }[of];
  onEvent({
    kind: 'phase',
    name: 'asking',
    detail: `claim ${side.toUpperCase()} of model ${of.toUpperCase()}`,
  });
  const { signal: _s, ...rest } = options; // this call is under it already
  try {
    // A server shows no weights to compare.
    const how = endpoint ? { endpoint } : vanilla !== undefined ? { vanilla } : {};
    return await verify({ ...rest, ...own, suspect, ...how, onEvent });
  } catch (error) {
    // What a side brings of its own must fit together; a stranger's model need not.
    if (side !== of && error instanceof WhorlError && NOT_ASKED.has(error.code)) return error;
    throw error;
  }
}

const markOf = (report: VerifyReport | WhorlError): RivalMark =>
  report instanceof WhorlError
    ? {
        finding: 'unknown',
        verdict: null,
        log10_p: null,
        log10_p_after_grinding: null,
        reason: report.message,
      }
    : {
        finding: findingOf(report),
        verdict: report.verdict,
        log10_p: report.log10_p,
        log10_p_after_grinding: report.log10_p_after_grinding,
        reason: report.reason,
      };

const digestIn = (report: VerifyReport | WhorlError): string | undefined =>
  report instanceof WhorlError ? undefined : report.suspect_digests?.weights;

function provedTime({ proved: { stamps } }: OpenedClaim): number | null {
  const times = stamps.flatMap(({ anchor, latest }) => (anchor === null ? [] : [latest]));
  return times.length > 0 ? Math.min(...times) : null;
}

const eachSide = <T>(make: (side: SideName) => T): Record<SideName, T> => ({ a: make('a'), b: make('b') });
async function onEachSide<T>(make: (side: SideName) => Promise<T>): Promise<Record<SideName, T>> {
  const a = await make('a');
  return { a, b: await make('b') };
}
