// White space as Python's `str.isspace` has it, for texts that must be cut where Python code cuts them. JavaScript's own
// knows U+FEFF besides, and neither U+001C–U+001F nor U+0085.

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are white space in Python
const SPACE = /^(?:(?!\ufeff)\s|[\x1c-\x1f\x85])$/;

/** `text.rstrip()` of Python. */
export function rstrip(text: string): string {
  let end = text.length;
  while (end > 0 && SPACE.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** `text.strip()` of Python. */
export function strip(text: string): string {
  let start = 0;
  while (start < text.length && SPACE.test(text[start]!)) start++;
  return rstrip(text.slice(start));
}

/** `text.split()` of Python: words between white space. */
export function words(text: string): string[] {
  const out: string[] = [];
  let word = '';
  for (const char of text)
    if (!SPACE.test(char)) word += char;
    else if (word !== '') {
      out.push(word);
      word = '';
    }
  return word === '' ? out : [...out, word];
}
