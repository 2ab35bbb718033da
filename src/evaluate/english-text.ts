// English text counted as instructions are checked: words, sentences, words in capitals. Words are those of Python's `\w+`;
// sentences end by the rules of Punkt (Kiss and Strunk 2006) with a list of abbreviations of our own, not a trained model's.

/** `str.isupper` of Python: a letter that has case, and none that is not upper case. */
export const isUpper = (text: string): boolean =>
  /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);
/** `str.islower`, likewise. */
export const isLower = (text: string): boolean =>
  /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);

export const wordCount = (text: string): number => text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;

/** Cut off a word by the Penn Treebank's rules: IT'S is IT and 'S. */
const CLITIC = /(?<=[^' ])('s|'m|'d|'ll|'re|'ve|n't)$/i;
/** Two words written as one (Penn Treebank). */
const PAIRS =
  /^(can)(not)$|^(d)('ye)$|^(gim)(me)$|^(gon)(na)$|^(got)(ta)$|^(lem)(me)$|^(more)('n)$|^(wan)(na)$|^('t)(is)$|^('t)(was)$/i;
/** What stands alone: brackets, quotes, most signs, and commas and colons that no digit follows. */
const ALONE = /[[\](){}<>«»“”‘’„`";@#$%&?!*\u2012-\u2015]|--|\.{2,}|''|[:,](?!\d)/gu;

/** Words all of whose letters are capitals, a hyphenated word being one. */
export const capitalWords = (text: string): number =>
  text
    .replace(ALONE, ' ')
    .split(/\s+/)
    .flatMap((word) => word.replace(CLITIC, ' $1').split(' '))
    .flatMap((word) => PAIRS.exec(word)?.slice(1).filter(Boolean) ?? [word])
    .filter(isUpper).length;

/** Without their last full stop: titles, months, places. `e.g` and `etc` are none to the model that the harness uses. */
const ABBREVIATIONS: ReadonlySet<string> = new Set(
  `mr mrs ms dr prof st jr sr gen col lt maj adm sen rep reps messrs vs inc ltd co corp bros cos jan feb aug sept sep oct
  nov dec tues wed fri a.m p.m u.s u.k u.n u.s.a d.c ph.d m.b.a n.y n.j ft mg vt calif conn ave ct`.split(
    /\s+/,
  ),
);
const INNER = /[?!)";}\]*:@'({[]/;
const CLOSING = /^["')\]}]+(?=\s|$)/;

/** Words that begin a sentence where they have a capital behind an abbreviation. */
const STARTERS: ReadonlySet<string> = new Set(
  `a after all also although an and as at because before both but by despite during each even every finally first for from he
  her his how however i if in indeed instead it its later many meanwhile most my no not now of on once one or our she since so
  some such that the their then there these they this those though through thus to today under until we well what when where while
  who why with you your`.split(/\s+/),
);
const isOrdinary = (word: string): boolean => STARTERS.has(word.toLowerCase().replace(/-.*/, ''));

/** Where a sentence may end: a mark, and behind it a sign or white space and another word. Of a word's marks the last one counts. */
const MARK = /[.?!](?=[?!)";}\]*:@'({[]|\s+\S)/g;

/** Number of sentences. */
export function sentenceCount(text: string): number {
  let [count, from] = [0, 0];
  const marks = [...text.matchAll(MARK)].map(({ index }) => index);
  for (const [i, at] of marks.entries()) {
    const next = marks[i + 1];
    if (next !== undefined && !/\s/.test(text.slice(at, next))) continue;
    if (at < from || !ends(text, at)) continue;
    const rest = text.slice(at + 1);
    from = at + 1 + (CLOSING.exec(rest)?.[0].length ?? 0);
    count++;
  }
  return text.slice(from).trim() === '' ? count : count + 1;
}

function ends(text: string, at: number): boolean {
  if (text[at] !== '.') return true;
  const before = /\S*$/.exec(text.slice(0, at))![0];
  const token = before.slice([...before].findLastIndex((char) => INNER.test(char)) + 1).toLowerCase();
  const after = /^[\s"'“‘([{*]*([^\s.,;:!?)\]}"']*)/.exec(text.slice(at + 1))?.[1] ?? '';
  const isCapital = /^\p{Lu}/u.test(after);
  const begins = isCapital && isOrdinary(after);
  if (/\.$/.test(before)) return begins; // an ellipsis
  const parts = token.split('-');
  if (/^\p{L}$/u.test(token) || /^-?[\d.,]+$/.test(token))
    return isCapital ? begins || /\d/.test(token) : !/^\p{Ll}/u.test(after);
  return ABBREVIATIONS.has(token) || ABBREVIATIONS.has(parts.at(-1)!) ? begins : true;
}
