// Names of files by a pattern as `datasets` takes them: `*`, `?`, `[abc]`, `[!a-z]`, and `**` for any folders. Matched by
// hand, in time bounded by both lengths: a pattern comes from a stranger's page, and as a RegExp it could hang.

type Part = string | ((char: string) => boolean);

const ANY = '*';
const FOLDERS = '**';

/** Does the whole path fit the pattern? */
export function globMatches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/').map((part) => (part === FOLDERS ? FOLDERS : partsOf(part)));
  return fits(wanted, path.split('/'), FOLDERS, (part, name) =>
    fits(part as Part[], [...name], ANY, fitsChar),
  );
}

const fitsChar = (part: Part, char: string): boolean =>
  typeof part === 'string' ? part === char : part(char);

/** Two pointers: at a mismatch the last wildcard swallows one item more. No other way back is ever needed. */
function fits<W, T>(
  wanted: readonly (W | string)[],
  items: readonly T[],
  wildcard: string,
  one: (want: W, item: T) => boolean,
): boolean {
  let [at, item, back, from] = [0, 0, -1, 0];
  while (item < items.length) {
    if (wanted[at] === wildcard) {
      back = at++;
      from = item;
    } else if (at < wanted.length && one(wanted[at] as W, items[item]!)) {
      at++;
      item++;
    } else if (back >= 0) {
      at = back + 1;
      item = ++from;
    } else return false;
  }
  while (wanted[at] === wildcard) at++;
  return at === wanted.length;
}

/** One folder's or file's name: characters, sets of them, wildcards. A bracket that is not closed is itself. */
function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  const chars = [...text];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    // A set may begin with the bracket that ends it: []a].
    const end = char === '[' ? chars.indexOf(']', i + (chars[i + 1] === '!' ? 3 : 2)) : -1;
    if (char === '?') parts.push(() => true);
    else if (end > 0) {
      parts.push(charSet(chars.slice(i + 1, end)));
      i = end;
    } else if (char !== ANY || parts.at(-1) !== ANY) parts.push(char);
  }
  return parts;
}

function charSet(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === '!';
  const ranges: [string, string][] = [];
  for (let i = isNegated ? 1 : 0; i < chars.length; i++)
    if (chars[i + 1] === '-' && i + 2 < chars.length) ranges.push([chars[i]!, chars[(i += 2)]!]);
    else ranges.push([chars[i]!, chars[i]!]);
  return (char) => ranges.some(([low, high]) => low <= char && char <= high) !== isNegated;
}
