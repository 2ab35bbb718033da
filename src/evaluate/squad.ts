// SQuAD's comparison of two short answers (Rajpurkar et al. 2016): in lower case, without punctuation and articles.

const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** `\b` of Python's regular expressions knows letters of every script. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

const normalised = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(PUNCTUATION, '')
    .replace(ARTICLES, ' ')
    .split(/\s+/)
    .filter((word) => word !== '');

export const squadExact = (a: string, b: string): number =>
  normalised(a).join(' ') === normalised(b).join(' ') ? 1 : 0;

/** Harmonic mean of precision and recall of words, each counted as often as both have it. */
export function squadF1(prediction: string, answer: string): number {
  const [a, b] = [normalised(prediction), normalised(answer)];
  if (a.length === 0 || b.length === 0) return a.length === b.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of b) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of a) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    same++;
    left.set(word, count - 1);
  }
  if (same === 0) return 0;
  const [precision, recall] = [same / b.length, same / a.length];
  return (2 * precision * recall) / (precision + recall);
}
