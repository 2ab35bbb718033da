// Finds the plainly catastrophic construct in a regular expression we did not write: a group repeated without
// bound whose body can itself match one text in several ways. (`(a+)+$` aborts the native tokenizer's process.)

interface Group {
  readonly start: number;
  /** The body holds an open-ended repetition or an alternative. */
  loose: boolean;
}

/** The offending piece of `pattern`, or undefined. Refuses some harmless patterns; no published tokenizer has one. */
export function explosiveRepeat(pattern: string): string | undefined {
  const open: Group[] = [];
  let closed: Group | undefined; // the group that ended just before `at`
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at]!;
    if (char === '\\') {
      at += 2;
      closed = undefined;
    } else if (char === '[') {
      at = endOfClass(pattern, at);
      closed = undefined;
    } else if (char === '(') {
      open.push({ start: at, loose: false });
      at++;
      closed = undefined;
    } else if (char === ')') {
      closed = open.pop();
      at++;
      const outer = open.at(-1);
      if (outer !== undefined && closed?.loose) outer.loose = true;
    } else if (char === '|') {
      const group = open.at(-1);
      if (group !== undefined) group.loose = true;
      at++;
      closed = undefined;
    } else {
      const repeat = openEnded(pattern, at);
      if (repeat?.wide) {
        if (closed?.loose && !repeat.possessive) return pattern.slice(closed.start, at + repeat.length);
        for (const group of open) group.loose = true;
      }
      at += repeat?.length ?? 1;
      closed = undefined;
    }
  }
  return undefined;
}

const WIDE = 10; // `{1,3}` of digits is fine, `{1,100}` is as good as `+`

function openEnded(
  pattern: string,
  at: number,
): { length: number; wide: boolean; possessive: boolean } | undefined {
  const found = /^(?:[*+?]|\{(\d*)(,?)(\d*)\})([?+]?)/.exec(pattern.slice(at, at + 24));
  if (found === null) return undefined;
  const [whole, low, comma, high, suffix] = found;
  const wide =
    whole[0] === '{'
      ? comma === ',' && (high === '' || (Number(high) >= WIDE && Number(high) > Number(low)))
      : whole[0] !== '?';
  return { length: whole.length, wide, possessive: suffix === '+' };
}

/** Index after the `]` that closes the class opened at `at`; classes nest in Oniguruma. */
function endOfClass(pattern: string, at: number): number {
  let depth = 0;
  for (let i = at; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++;
    else if (pattern[i] === '[') {
      depth++;
      if (pattern[i + 1] === '^') i++;
      if (pattern[i + 1] === ']') i++; // a `]` in first place is a literal
    } else if (pattern[i] === ']' && --depth === 0) return i + 1;
  }
  return pattern.length;
}
