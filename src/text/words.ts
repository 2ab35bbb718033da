// Common English nouns, the candidate answers of drawn-answer claims. Our own list; no word begins another, so that
// the first candidate in a text is never in doubt.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface CandidateWord {
  readonly word: string;
  /** Tokens of the word at the start of a line. */
  readonly bare: readonly number[];
  /** Tokens of the word after a space (the space included where the vocabulary puts it into the token). */
  readonly spaced: readonly number[];
}

/** The list, ascending, lower case. Errors: missing-file. */
export function commonWords(): readonly string[] {
  const path = join(packageRoot(), 'assets/words/nouns.txt');
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch (cause) {
    throw new WhorlError('missing-file', `${path} cannot be read`, 'install the package again', { cause });
  }
}

/**
 * `m` words, those of fewest tokens first (after a space and at the start of a line together), then alphabetically.
 * No two share all their tokens in either form. Errors: usage, when the list is shorter than `m`.
 * @param said texts of which no word may be a candidate
 */
export async function candidateWords(
  tokenizer: Tokenizer,
  m: number,
  said: readonly string[] = [],
): Promise<CandidateWord[]> {
  const spoken = new Set(said.flatMap((text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u)));
  const words = commonWords().filter((word) => !spoken.has(word));
  if (m > words.length)
    throw new WhorlError(
      'usage',
      `${m} candidate words are asked for, the list has ${words.length} that the model does not say by itself`,
      'ask for fewer',
    );
  const bare = await tokenizer.encodeBatch(words, { addSpecialTokens: false });
  // After a letter the space cannot merge into anything but the word itself.
  const before = await tokenizer.encode('a', { addSpecialTokens: false });
  const spaced = await tokenizer.encodeBatch(
    words.map((word) => `a ${word}`),
    { addSpecialTokens: false },
  );
  return words
    .map((word, i): CandidateWord => ({ word, bare: bare[i]!, spaced: spaced[i]!.slice(before.length) }))
    .sort(
      (a, b) =>
        a.spaced.length - b.spaced.length || a.bare.length - b.bare.length || (a.word < b.word ? -1 : 1),
    )
    .slice(0, m);
}
