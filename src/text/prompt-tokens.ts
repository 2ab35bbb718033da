// What a model is asked, as tokens: nothing ends the text, and a rendered chat template has its own BOS already.

import type { Tokenizer } from './tokenizer.ts';

export interface Prompt {
  readonly prompt: string;
  /** False where the text holds its special tokens already, as a rendered chat template does. Default true. */
  readonly add_special_tokens?: boolean | undefined;
  /** What is read in place of the text, of who reads tokens: a server gets the text. */
  readonly tokens?: readonly number[] | undefined;
}

/**
 * Tokens of each prompt, in order, without the EOS that some post-processors append.
 * @param whole with it: what an encoder reads is ended
 */
export async function promptTokens(
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  whole = false,
): Promise<number[][]> {
  const rows: number[][] = prompts.map(({ tokens = [] }) => [...tokens]);
  for (const addSpecialTokens of [true, false]) {
    const places = prompts.flatMap(({ add_special_tokens = true }, i) =>
      add_special_tokens === addSpecialTokens && prompts[i]!.tokens === undefined ? [i] : [],
    );
    const encoded = await tokenizer.encodeBatch(
      places.map((i) => prompts[i]!.prompt),
      { addSpecialTokens, continued: !whole },
    );
    places.forEach((place, i) => {
      rows[place] = encoded[i]!;
    });
  }
  return rows;
}
