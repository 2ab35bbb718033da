// JSON that is checked for its shape next, so that what is none needs no words of its own.

/** undefined for a text that is no JSON. */
export function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
