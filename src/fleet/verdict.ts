// One verdict about many suspects. Asking many is many looks: each p is paid for all of them (Holm), and e-values beside it (e-BH).
// A pure function of the tasks' results, in the order of their names, so that nothing else shows in its bytes.

import { WhorlError } from '../base/error.ts';
import { SOFTWARE } from '../base/software.ts';
import { OWNER_DRAWS, PROVED_DRAWS, type Trials } from '../claim/grinding.ts';
import { log10Calibrated } from '../verify/channels.ts';
import { eBhOver, holmOver } from '../verify/exact/multiple.ts';
import { CERTAIN, type Ratio, toPValue } from '../verify/exact/ratio.ts';
import type { VerifyReport } from '../verify/report.ts';
import { type Word, wordOf } from '../verify/word.ts';
import type { Failure } from './result.ts';

/** A suspect's own report without what differs from one asking to the next: times, seconds, paths of what was kept. */
type Alone = Omit<VerifyReport, 'seconds' | 'endpoint' | 'claim_file' | 'certificate'> & {
  readonly endpoint: Pick<NonNullable<VerifyReport['endpoint']>, 'url' | 'model_name' | 'kind'> | null;
};

export interface Suspect {
  readonly name: string;
  /** Whether the list names it still. One that was asked counts, whether it does or not. */
  readonly listed: boolean;
  readonly report: VerifyReport;
}

export interface FailedSuspect extends Failure {
  readonly name: string;
}

export interface SuspectVerdict {
  readonly name: string;
  readonly listed: boolean;
  /** What counts: paid for all suspects. */
  readonly verdict: Word;
  /** Of p, paid for all; null where no p may be given. `after_draws`: what is left after the draws that the owner could have tried. */
  readonly holm: { readonly log10_p: number; readonly log10_p_after_draws: number } | null;
  /** Of the e-value, and whether e-BH accepts it at alpha, before and after those draws. */
  readonly e_bh: {
    readonly log10_e: number;
    readonly log10_adjusted: number;
    readonly accepted: boolean;
    readonly accepted_after_draws: boolean;
  } | null;
  /** As if no other had been asked. */
  readonly alone: Alone;
}

export interface FleetVerdict {
  readonly format: 'whorl-fleet-verdict';
  readonly version: 1;
  readonly software: typeof SOFTWARE;
  readonly claim: VerifyReport['claim'] | null;
  readonly alpha: number | null;
  /** What is paid for: suspects that were asked, that failed (with p = 1, e = 0), and that were asked elsewhere. */
  readonly tests: { readonly asked: number; readonly failed: number; readonly elsewhere: number };
  readonly tried: string | null;
  readonly suspects: readonly SuspectVerdict[];
  /** No verdict: why. The same call asks them again. */
  readonly failed: readonly FailedSuspect[];
  readonly assumptions: readonly string[];
}

export const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

/** @param elsewhere suspects that were asked under the same claim and are not here */
export function fleetVerdict(
  asked: readonly Suspect[],
  failed: readonly FailedSuspect[],
  elsewhere: number,
): FleetVerdict {
  const suspects = asked.toSorted(
    (a, b) => byName(a, b) || Number(b.listed) - Number(a.listed) || byTranscript(a, b),
  );
  const tests = suspects.length + failed.length + elsewhere;
  const [first] = suspects;
  const trials = first && trialsOf(first.report);
  const ps = suspects.map(({ report }) => paidOf(report));
  const holm = holmOver(
    ps.map((p) => p ?? CERTAIN),
    tests,
  );
  const e = suspects.map(({ report }) => log10EOf(report));
  const eBh = eBhOver(e, tests);
  return {
    format: 'whorl-fleet-verdict',
    version: 1,
    software: SOFTWARE,
    claim: first?.report.claim ?? null,
    alpha: first?.report.alpha ?? null,
    tests: { asked: suspects.length, failed: failed.length, elsewhere },
    tried: trials?.words ?? null,
    suspects: suspects.map(({ name, listed, report }, i) => {
      const { alpha } = report;
      const { log10_p } = toPValue(holm[i]!);
      const [log10_e, log10_adjusted] = [e[i]!, eBh[i]!];
      const level = -Math.log10(alpha);
      return {
        ...{ name, listed, verdict: wordFor(report, holm[i]!, tests, trials!) },
        holm: ps[i] ? { log10_p, log10_p_after_draws: Math.min(0, log10_p + trials!.log10) } : null,
        e_bh: ps[i]
          ? {
              ...{ log10_e, log10_adjusted },
              accepted: log10_adjusted >= level,
              accepted_after_draws: log10_adjusted - trials!.log10 >= level,
            }
          : null,
        alone: aloneOf(report),
      };
    }),
    failed: failed.toSorted(byName),
    assumptions: ASSUMPTIONS,
  };
}

const ASSUMPTIONS: readonly string[] = [
  'Each suspect is one look under the claim, and its p was paid for the looks that the claim commits to before Holm paid it for all suspects.',
  'Suspects that were asked under this claim in other folders count too (A5): --elsewhere says how many.',
  'A suspect that has no verdict yet counts with p = 1 and e = 0: its verdict later changes none of the others for the worse.',
  'A list made after the answers chooses: whoever was asked in this folder stays in this verdict, whether the list names it or not.',
];

const byTranscript = ({ report: a }: Suspect, { report: b }: Suspect): number =>
  byName({ name: digestsOf(a) }, { name: digestsOf(b) });
const digestsOf = ({ suspect_digests, transcript_sha256 }: VerifyReport): string =>
  JSON.stringify([suspect_digests, transcript_sha256]);

/** p, paid for its own looks; undefined where none may be given. */
const paidOf = ({ p_exact, multiplicity }: VerifyReport): Ratio | undefined =>
  p_exact === null ? undefined : paid(p_exact, multiplicity);

const paid = (exact: NonNullable<VerifyReport['p_exact']>, looks: number): Ratio => ({
  numerator: BigInt(exact.numerator) * BigInt(looks),
  denominator: BigInt(exact.denominator),
});

/**
 * The product of the channels, else p's e-value by the mixture that claims with two channels use. Where there are channels 1/p is
 * none: p is the smaller of two. The best of so many looks is at most their sum, so an e-value is paid for by division.
 */
function log10EOf({ log10_p, channels, multiplicity }: VerifyReport): number {
  if (log10_p === null) return Number.NEGATIVE_INFINITY;
  return channels ? channels.log10_e - Math.log10(multiplicity) : log10Calibrated(log10_p);
}

function trialsOf({ log10_draws }: VerifyReport): Trials {
  const found = [OWNER_DRAWS, PROVED_DRAWS].find(({ log10 }) => log10 === log10_draws);
  if (!found)
    throw new WhorlError('mismatch', 'a result counts other draws than this version of Whorl', 'ask anew');
  return found;
}

/** Paying more never makes a word better: what could not be decided alone stays so. */
function wordFor(report: VerifyReport, adjusted: Ratio, tests: number, trials: Trials): Word {
  const { verdict, alpha, reachable_exact, multiplicity } = report;
  if (reachable_exact === null) return verdict;
  const least = paid(reachable_exact, multiplicity * tests);
  const word = wordOf({ tail: adjusted, reachable: least, multiplicity: 1n, alpha, trials });
  return word === 'not-verified' && verdict === 'undecided' ? verdict : word;
}

function aloneOf({ seconds: _, claim_file: __, certificate: ___, endpoint, ...report }: VerifyReport): Alone {
  return {
    ...report,
    endpoint: endpoint && {
      ...{ url: endpoint.url, model_name: endpoint.model_name, kind: endpoint.kind },
    },
  };
}

/** The word of the whole: the one that speaks most for the owner. */
const ORDER: readonly Word[] = ['verified', 'matches', 'undecided', 'not-verified'];
export const wordOfAll = ({ suspects }: FleetVerdict): Word =>
  ORDER.find((word) => suspects.some(({ verdict }) => verdict === word)) ?? 'undecided';
