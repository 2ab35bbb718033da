// One verdict said in each way that a command says it: headline, sentence in a table, exit code. One record, so that no
// two of them can differ (docs/claims.md, section 7).

import type { Verdict } from '../verify/verdict.ts';
import { type Paint, paint } from './output.ts';

interface VerdictWords {
  readonly words: string;
  readonly colour: keyof Pick<Paint, 'green' | 'yellow' | 'red'>;
  readonly exitCode: number;
}

export const VERDICT_WORDS: Readonly<Record<Verdict['verdict'], VerdictWords>> = {
  verified: { words: 'verified', colour: 'green', exitCode: 0 },
  'not-verified': { words: 'not verified', colour: 'red', exitCode: 3 },
  matches: { words: "matches (owner's word)", colour: 'yellow', exitCode: 4 },
  undecided: { words: 'undecided', colour: 'yellow', exitCode: 5 },
};

export function headline(verdict: Verdict['verdict']): string {
  const { words, colour } = VERDICT_WORDS[verdict];
  return paint[colour](paint.bold(words.toUpperCase()));
}

/** In a table, where only what speaks for the owner has a colour. */
export function inTable(verdict: Verdict['verdict']): string {
  const { words, colour } = VERDICT_WORDS[verdict];
  return colour === 'red' ? paint.dim(words) : paint[colour](words);
}
