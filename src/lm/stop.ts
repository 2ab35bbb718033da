// Stop strings: a continuation ends before the first place where one of them begins, as in lm-evaluation-harness and
// vLLM. They are looked for in decoded text, so they may lie across tokens and across the borders of runs.

import type { Tokenizer } from '../text/tokenizer.ts';

/** Where the first of the strings begins, or −1. */
export function stopAt(text: string, stops: readonly string[]): number {
  const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return places.length === 0 ? -1 : Math.min(...places);
}

export interface Stopped {
  readonly text: string;
  /** Up to and with the token that completed the stop string, as vLLM gives them. */
  readonly tokens: readonly number[];
}

/** The text before the first stop string and the tokens that it took to see it. */
export async function cutAtStop(
  tokenizer: Tokenizer,
  tokens: readonly number[],
  text: string,
  stops: readonly string[],
): Promise<Stopped> {
  const at = stopAt(text, stops);
  if (at < 0) return { text, tokens };
  // The fewest tokens whose text holds a stop string: text only grows with them, so halving finds it.
  let [without, withIt] = [0, tokens.length];
  while (withIt - without > 1) {
    const middle = (without + withIt) >> 1;
    const part = await tokenizer.decode(tokens.slice(0, middle));
    if (stopAt(part, stops) >= 0) withIt = middle;
    else without = middle;
  }
  // Stopping there is what happened token by token: a longer stop string that begins earlier was not complete yet.
  const kept = tokens.slice(0, withIt);
  const seen = await tokenizer.decode(kept);
  return { text: seen.slice(0, stopAt(seen, stops)), tokens: kept };
}
