// Scores of a SentencePiece BPE vocabulary whose tokenizer.json has merges in their place. SentencePiece merges the
// neighbours whose union scores best, whatever the halves: a list of merges says the same only if it holds every cut of
// every piece, those of one piece together.

import { PIECE_TYPE } from './sentencepiece.ts';

/**
 * One score a token, higher merged first: −0, −1, … in the order of the merges' unions.
 * @param refuse throws for a list that no scores give
 */
export function scoresOf(
  tokens: readonly string[],
  types: readonly number[],
  merges: readonly (string | readonly string[])[],
  refuse: (what: string) => never,
): number[] {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (types[id] === PIECE_TYPE.normal) ids.set(token, id);
  });
  const scores = new Array<number>(tokens.length).fill(0);
  const counts = new Map<string, number>();
  let last: string | undefined;
  for (const merge of merges) {
    const [left, right] =
      typeof merge === 'string' ? (merge.split(' ') as [string, string]) : (merge as [string, string]);
    const union = left + right;
    if (!ids.has(left) || !ids.has(right) || !ids.has(union)) continue; // of a piece that is looked for before merging
    if (union !== last && counts.has(union))
      refuse(`merges of ${JSON.stringify(union)} with others between them`);
    if (union !== last) scores[ids.get(union)!] = -counts.size;
    counts.set(union, (counts.get(union) ?? 0) + 1);
    last = union;
  }
  for (const [piece] of ids)
    if (cutsOf(piece, ids) !== (counts.get(piece) ?? 0))
      refuse(`that ${JSON.stringify(piece)} is merged of some of its halves only, as the merges have it`);
  let next = counts.size;
  tokens.forEach((token, id) => {
    if (!counts.has(token)) scores[id] = types[id] === PIECE_TYPE.normal ? -next++ : 0;
  });
  return scores;
}

/** In how many ways a piece is two pieces. */
function cutsOf(piece: string, ids: ReadonlyMap<string, number>): number {
  let count = 0;
  for (let at = 1; at < piece.length; at++) {
    const unit = piece.charCodeAt(at);
    if (unit >= 0xdc00 && unit <= 0xdfff) continue; // the second half of a character
    if (ids.has(piece.slice(0, at)) && ids.has(piece.slice(at))) count++;
  }
  return count;
}
