// What goes with asking key by key, what does not, and what a plan says of it.

import { WhorlError } from '../../base/error.ts';
import type { VerifyOptions } from '../report.ts';
import type { SequentialOptions } from './stopped.ts';

/** @throws WhorlError `usage`, before anything is opened */
export function checkSequential({ sequential, keys, ranks }: VerifyOptions): void {
  if (!sequential) return;
  const { budget } = sequential;
  if (budget !== undefined && !(Number.isSafeInteger(budget) && budget >= 1))
    throw new WhorlError('usage', `--budget ${budget} is no count`, 'give a whole number of keys from 1');
  if (keys !== undefined)
    throw new WhorlError(
      'usage',
      '--keys fixes how many keys are asked, and --sequential leaves it open',
      'give --budget for the most that may be asked, or leave --sequential out',
    );
  if (ranks)
    throw new WhorlError(
      'usage',
      '--ranks scores what could have been drawn for all keys, and --sequential asks some of them',
      'leave one of them out',
    );
}

export const sequentialSettings = (
  options: SequentialOptions | undefined,
): Record<string, string | number | null> =>
  options ? { sequential: options.until ?? 'verified', budget: options.budget ?? null } : {};

export const sequentialNotes = (options: SequentialOptions | undefined): string[] =>
  options ? ['Keys are asked one by one, and no further key once it is decided.'] : [];
