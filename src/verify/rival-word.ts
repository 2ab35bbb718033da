// Two claims, two models, four verdicts: which claim was first, or that nothing says so (docs/claims.md, section 11). A pure
// function of what was found; nobody's word counts, neither about times nor about draws.

import { MARGIN } from '../proof/order.ts';
import type { Verdict } from './verdict.ts';

/** Whether a claim's mark is in a model: `unknown` where its verdict says neither. */
export type Finding = 'there' | 'absent' | 'unknown';
export type SideName = 'a' | 'b';
export const SIDES: readonly SideName[] = ['a', 'b'];
export const other = (side: SideName): SideName => (side === 'a' ? 'b' : 'a');

export interface RivalSide {
  /** Milliseconds since 1970 at the latest, of the earliest time stamp that a trusted authority made; null without one. */
  readonly proved: number | null;
  /** Whether its mark is in the model of each side. */
  readonly marks: Readonly<Record<SideName, Finding>>;
}

export interface RivalWord {
  /** The side that was first. */
  readonly first: SideName | 'undecided';
  readonly reason: string;
}

/** Each claim is asked of two models, and either could have given the better word. */
const LOOKS = 2;
/** A mark that is half there is not absent: an innocent model has a smaller p once in a hundred times. */
const LOG10_ABSENT = -2;

/** What a verdict says of a mark. Only `verified` is proof of it to others, and only an exact p near 1 that it is not there. */
export function findingOf({ verdict, log10_p, log10_p_after_grinding: left, alpha }: Verdict): Finding {
  if (verdict === 'verified' && left !== null && left + Math.log10(LOOKS) <= Math.log10(alpha))
    return 'there';
  return verdict === 'not-verified' && log10_p !== null && log10_p >= LOG10_ABSENT ? 'absent' : 'unknown';
}

const NAMES: Readonly<Record<SideName, string>> = { a: 'claim A', b: 'claim B' };
const MODELS: Readonly<Record<SideName, string>> = { a: 'model A', b: 'model B' };

/**
 * The first claim is the one whose mark is in both models, whose own model lacks the other's, and whose time is proved and not
 * after the other's.
 * @param oneModel whether both sides brought the same weights
 */
export function rivalWord(sides: Readonly<Record<SideName, RivalSide>>, oneModel: boolean): RivalWord {
  const undecided = (reason: string): RivalWord => ({ first: 'undecided', reason });
  if (oneModel) return undecided('Both brought one model: it cannot tell which mark was there first.');
  const candidate = SIDES.find((side) => sides[side].marks.a === 'there' && sides[side].marks.b === 'there');
  if (candidate === undefined) return undecided(whyNeither(sides));
  const rest = other(candidate);
  const inOwn = sides[rest].marks[candidate];
  if (inOwn === 'there')
    return undecided('Each mark is in both models: either may have been put on the other.');
  if (inOwn === 'unknown')
    return undecided(
      `The mark of ${NAMES[candidate]} is in both models; whether ${MODELS[candidate]} lacks the other mark is not decided.`,
    );
  const [own, others] = [sides[candidate].proved, sides[rest].proved];
  const found = `The mark of ${NAMES[candidate]} is in both models, and ${MODELS[candidate]} lacks the mark of ${NAMES[rest]}`;
  if (own === null)
    return undecided(
      `${found}; but when ${NAMES[candidate]} was there is its owner's word: no time stamp leads to an authority that you trust (--tsa-root).`,
    );
  if (others !== null && own + MARGIN > others)
    return undecided(
      `${found}; but ${NAMES[candidate]} is time-stamped at ${iso(own)}, not before ${NAMES[rest]} (${iso(others)}).`,
    );
  const later =
    others === null ? `${NAMES[rest]} shows no time` : `${NAMES[rest]} is stamped at ${iso(others)}`;
  return {
    first: candidate,
    reason: `${found}; ${NAMES[candidate]} is time-stamped at ${iso(own)}, ${later}. So ${NAMES[candidate]} was first.`,
  };
}

function whyNeither(sides: Readonly<Record<SideName, RivalSide>>): string {
  const found = SIDES.flatMap((side) =>
    SIDES.map((model) => ({ side, model, is: sides[side].marks[model] })),
  );
  const unknown = found.filter(({ is }) => is === 'unknown');
  if (unknown.length > 0)
    return `No mark is proved to be in both models; not decided: ${unknown
      .map(({ side, model }) => `${NAMES[side]} in ${MODELS[model]}`)
      .join(', ')}.`;
  const there = found.filter(({ is }) => is === 'there');
  if (there.length === 0) return 'Neither claim is in either model: neither is a claim about them.';
  return `No mark is in both models; found: ${there
    .map(({ side, model }) => `${NAMES[side]} in ${MODELS[model]}`)
    .join(', ')}.`;
}

const iso = (time: number): string => new Date(time).toISOString();
