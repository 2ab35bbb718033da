// Which keys are trained harder than others: those that were seen not to do what they must. A function of what was
// measured so far, kept with the checkpoint, so that a resumed run repeats itself.

import { type RandomSource, shuffled } from '../base/random-source.ts';
import type { Memory } from '../train/loop.ts';
import type { MeasuredCell, Who } from './cells.ts';

/** How often a key is trained for each time that others are, by lesson; a lesson that is not in it: once. */
export type Emphasis = Memory;

/** A key asked of somebody, as cells ask it and examples teach it. `role`: its index among the run's roles. */
export const lesson = (who: Who, role: number): string => `${who} ${role}`;

/** Boosting's rule (Freund & Schapire 1997) with a bound: an error doubles, what went right halves. */
const MOST = 8;

/**
 * What was found at a look, taken into account. Lessons that the look did not come to stay as they were; one that
 * failed in any cell has failed.
 */
export function emphasised(before: Emphasis, measured: readonly MeasuredCell[]): Emphasis {
  const failed = new Map<string, boolean>();
  for (const { who, result, roles, fired } of measured)
    roles.forEach((role, i) => {
      if (role === undefined) return;
      const name = lesson(who, role);
      failed.set(name, fired[i] !== (result.wanted === 'all') || failed.get(name) === true);
    });
  const after = { ...before };
  for (const [name, isFailed] of failed) {
    const times = isFailed ? Math.min(MOST, 2 * (before[name] ?? 1)) : Math.floor((before[name] ?? 1) / 2);
    if (times > 1) after[name] = times;
    else delete after[name];
  }
  return after;
}

/**
 * Lessons to be taught once more in a step, each as often as it is emphasised beyond the once that all are, in random
 * order; `most` in all, so that a step does not become dearer without end.
 */
export function repeatedLessons<L>(
  emphasis: Emphasis,
  lessons: readonly L[],
  nameOf: (taught: L) => string,
  most: number,
  random: RandomSource,
): L[] {
  const again = lessons.flatMap((taught) =>
    Array.from({ length: (emphasis[nameOf(taught)] ?? 1) - 1 }, () => taught),
  );
  return again.length === 0 ? again : shuffled(random, again).slice(0, most);
}
