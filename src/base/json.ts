// JSON as it is written, and what is read and checked for its shape next, so that what is none needs no words of its own.

/** undefined for a text that is no JSON. */
export function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As files have it that people may read. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Whether JSON is nested deeper than so many levels. Said before it is parsed: that takes seconds for a megabyte of brackets, and
 * whoever walks down the value runs out of stack.
 */
export function isDeeper(json: Uint8Array, most: number): boolean {
  let [depth, quoted] = [0, false];
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) i += byte === 0x5c ? 1 : 0;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > most) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}
