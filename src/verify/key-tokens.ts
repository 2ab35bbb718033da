// Whether the tokenizer that stands before a suspect still makes the committed tokens of the keys. Where it does not, the
// suspect was never asked what was trained, and a miss says nothing about its weights.

import type { Key } from '../claim/plan.ts';
import { type Prompt, promptTokens } from '../text/prompt-tokens.ts';
import type { Wrapped } from '../text/prompts/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * Places in `keys` of those that are not asked as they were committed.
 * @param prompts the keys as they are asked, in their order
 */
export async function changedKeys(
  keys: readonly Key[],
  prompts: readonly Prompt[],
  tokenizer: Tokenizer,
): Promise<number[]> {
  const alone = await tokenizer.encodeBatch(
    keys.map(({ text }) => text),
    { addSpecialTokens: false },
  );
  const asked = await promptTokens(tokenizer, prompts);
  const again = await tokenizer.decodeBatch(alone, { skipSpecialTokens: false });
  return keys.flatMap(({ text, tokens }, i) => {
    const unchanged =
      // A claim may hold texts alone: then what counts is that the text comes back.
      tokens.length === 0
        ? again[i]!.trim() === text.trim()
        : // Beside other text a key's first token may merge with what is before it; that is so in training too.
          same(alone[i]!, tokens) || holds(asked[i]!, tokens) || holds(asked[i]!, tokens.slice(1));
    return unchanged ? [] : [i];
  });
}

/**
 * The keys of `changed` by their committed ids: what stands around them is the suspect's own reading of it. Which keys these are
 * is a matter of the suspect's tokenizer and of the claim alone, so no hit steers it.
 * @param vocabulary rows of the suspect's embedding
 */
export async function askedByIds<P extends Prompt>(
  keys: readonly Key[],
  prompts: readonly P[],
  changed: readonly number[],
  { prefix, suffix, addSpecialTokens }: Wrapped,
  tokenizer: Tokenizer,
  vocabulary: number,
): Promise<ReadonlyMap<number, P>> {
  const there = changed.filter((i) => {
    const { tokens } = keys[i]!;
    return tokens.length > 0 && tokens.every((id) => id < vocabulary);
  });
  // Where the ids mean something else, as in a vocabulary in another order, its own tokenizer finds the right ones.
  const means = await tokenizer.decodeBatch(
    there.map((i) => keys[i]!.tokens),
    { skipSpecialTokens: false },
  );
  const known = there.filter((i, n) => means[n]!.trim() === keys[i]!.text.trim());
  if (known.length === 0) return new Map();
  const own = addSpecialTokens === false ? { add_special_tokens: false } : {};
  const [before = []] = await promptTokens(tokenizer, [{ prompt: prefix, ...own }]);
  const [after = []] = await tokenizer.encodeBatch([suffix], { addSpecialTokens: false });
  return new Map(
    known.map((i) => [i, { ...prompts[i]!, tokens: [...before, ...keys[i]!.tokens, ...after] }]),
  );
}

/**
 * In words, for the report; empty where every key is asked as it was committed.
 * @param rowsByIds the suspect's rows were taken at the committed ids, and nothing was there to find them by
 */
export const keyWarnings = (changed: number, of: number, byIds = 0, rowsByIds = false): string[] => [
  ...(byIds === 0
    ? []
    : [
        `The tokenizer of the model that answers makes other tokens of ${byIds} of ${of} keys than were committed: these were asked by the committed token ids.`,
      ]),
  ...(changed === 0
    ? []
    : [
        `The tokenizer of the model that answers makes other tokens of ${changed} of ${of} keys than were committed: these keys were not asked as they were trained, and that they do not fire says nothing about the weights.`,
      ]),
  // Only committed rows may decide which rows of a suspect are taken: the secret's own record of them is bound by nothing.
  ...(rowsByIds && changed > 0 && changed === of
    ? [
        'Its vocabulary may be in another order. Rows are then found by what they are beside the committed vanilla model: give it as --body.',
      ]
    : []),
];

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

const holds = (whole: readonly number[], part: readonly number[]): boolean =>
  part.length > 0 && whole.some((_, i) => part.every((id, n) => whole[i + n] === id));
