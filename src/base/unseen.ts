// Characters that nobody sees, written out: controls, marks that turn the direction of a line or join nothing to nothing, line ends.
// A stranger's name must not rub out, hide or turn round what stands beside it, on a terminal or on paper.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Each as \uXXXX, in UTF-16. */
export const writtenOut = (text: string): string =>
  text.replace(UNSEEN, (char) =>
    Array.from(
      { length: char.length },
      (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
