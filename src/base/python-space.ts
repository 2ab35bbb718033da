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
