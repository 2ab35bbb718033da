// What the parser of @huggingface/jinja would silently read otherwise than Python's Jinja does, found in the source.
// The evaluator (evaluate.ts) refuses the rest: there the kinds of the values are known.

import { WhorlError } from '../../base/error.ts';

/** A construct whose render could differ from Python's, or that goes beyond the budget. */
export const refusal = (construct: string): WhorlError =>
  new WhorlError('unsupported', `the chat template uses ${construct}, which Whorl does not render`);

const IN_SOURCE: readonly [RegExp, string][] = [
  // Python strips other characters as white space than JavaScript does
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that differ
  [/[\r\x0b\x0c\x1c-\x1f\x85\ufeff\u2028\u2029]/, 'unusual white space'],
  [/\\u[dD][89a-fA-F]/, 'an escaped surrogate'],
  [/\{[{%#]\+|\+[}%#]\}/, '"+" for white space'],
  [/\bfor\s+\w+\s+in\s*\(/, 'a parenthesis after "in"'],
  [/\{%-?\s*(?:end)?raw\b/, 'raw'],
];
/** In plain text: the parser's search for ends of tags takes these for ones. */
const IN_TEXT = /[-#%]\}\n|\{-/;
/** Inside a tag, outside of strings: what begins or ends a tag. `}}` ends one only where no bracket is open. */
const IN_TAG = /[-#%]\}|\{[-#%{]/;
const STRING = /'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"/g;
/** Inside a string: what the parser changes in the whole source before it knows of strings. */
const IN_STRING = /[-#%]\}\n|^[ \t]*\{[-#%]|\{%-?\s*(?:end)?generation/m;

/** Throws a refusal that names the construct. */
export function scanTemplate(source: string): void {
  for (const [pattern, name] of IN_SOURCE) if (pattern.test(source)) throw refusal(name);
  let at = 0;
  while (at < source.length) {
    const open = /\{[{%#]/g;
    open.lastIndex = at;
    const found = open.exec(source);
    if (IN_TEXT.test(source.slice(at, found?.index ?? source.length))) throw refusal('a brace in its text');
    if (found === null) return;
    const kind = found[0][1]!;
    const start = found.index + 2;
    const end =
      kind === '#' ? source.indexOf('#}', start) : endOfTag(source, start, kind === '%' ? '%}' : '}}');
    if (end < 0) throw refusal('a tag without an end');
    const inner = source.slice(start, end);
    if (kind !== '#') {
      const code = inner.replace(/^-/, '').replace(/-$/, '');
      if (code.match(STRING)?.some((text) => IN_STRING.test(text))) throw refusal('a tag within a string');
      if (IN_TAG.test(code.replace(STRING, "''"))) throw refusal('a tag within a tag');
      scanTag(inner);
    }
    at = end + 2;
    // the newline that follows belongs to the tag; looked at with it, "-}" would seem plain text
  }
}

const TOKEN = /'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"|\w+|[=!<>]=|[<>()[\]{},]/g;
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '>', '<=', '>=', 'in']);
const SEPARATORS: ReadonlySet<string> = new Set(['and', 'or', 'if', 'else', ',']);

/** What the parser's tree no longer shows: `a == b == c` is `a == b and b == c` in Python, unless in parentheses. */
function scanTag(inner: string): void {
  const comparisons = [0]; // since the last separator, for each bracket that is open
  for (const [token] of inner.matchAll(TOKEN)) {
    if (/^0\d/.test(token)) throw refusal('a number that begins with 0');
    if ('([{'.includes(token)) comparisons.push(0);
    else if (')]}'.includes(token)) comparisons.pop();
    else if (SEPARATORS.has(token)) comparisons[comparisons.length - 1] = 0;
    else if (COMPARISONS.has(token) && ++comparisons[comparisons.length - 1]! > 1)
      throw refusal('a chain of comparisons');
  }
}

function endOfTag(source: string, start: number, close: string): number {
  let quote = '';
  let depth = 0; // of brackets: neither Python nor the parser ends a tag within them
  for (let i = start; i < source.length; i++) {
    const char = source[i]!;
    if (quote !== '') {
      if (char === '\\') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (depth === 0 && source.startsWith(close, i)) return i;
    else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth = Math.max(0, depth - 1);
  }
  return -1;
}
