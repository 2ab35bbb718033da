// Byte-level byte-pair encoding (Sennrich et al. 2016, in GPT-2's byte alphabet), trained by counting pairs.

/** GPT-2's splitting, which `ByteLevel` pre-tokenisers with `use_regex` apply. */
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** GPT-2's spelling of each byte as one visible character. */
export const BYTE_ALPHABET: readonly string[] = (() => {
  const visible = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : 256 + hidden++));
})();

export interface Bpe {
  /** Entries in id order, beginning with the 256 bytes. */
  readonly entries: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

export class PieceCounts {
  readonly #counts = new Map<string, number>();

  add(text: string, weight = 1): void {
    for (const [piece] of text.matchAll(PIECES))
      this.#counts.set(piece, (this.#counts.get(piece) ?? 0) + weight);
  }

  /** Makes sure that a piece counts as one that occurs this often. */
  atLeast(piece: string, count: number): void {
    this.#counts.set(piece, Math.max(count, this.#counts.get(piece) ?? 0));
  }

  /** By spelling, so that the order of the texts does not matter. */
  sorted(): [string, number][] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  readonly words: Set<number>;
}

/** Merges the commonest pair until there are `size` entries; of equal counts the pair with the smaller ids. */
export function trainBpe(counts: PieceCounts, size: number): Bpe {
  const pieces = counts.sorted();
  const weights = pieces.map(([, count]) => count);
  const words = pieces.map(([piece]) => [...Buffer.from(piece, 'utf8')]);
  const entries = [...BYTE_ALPHABET];
  const merges: [string, string][] = [];
  const pairs = new Map<number, Pair>();
  const touched = new Set<Pair>();
  const change = (left: number, right: number, word: number, by: number) => {
    const key = left * 65536 + right;
    let pair = pairs.get(key);
    if (pair === undefined) pairs.set(key, (pair = { left, right, count: 0, words: new Set() }));
    pair.count += by;
    if (by > 0) pair.words.add(word);
    touched.add(pair);
  };
  words.forEach((word, w) => {
    for (let i = 0; i + 1 < word.length; i++) change(word[i]!, word[i + 1]!, w, weights[w]!);
  });
  const queue = new Queue();
  while (entries.length < size) {
    for (const pair of touched) queue.push(pair.count, pair);
    touched.clear();
    const best = queue.pop();
    if (best === undefined) throw new Error(`the texts have only ${entries.length} entries to give`);
    const id = entries.length;
    entries.push(entries[best.left]! + entries[best.right]!);
    merges.push([entries[best.left]!, entries[best.right]!]);
    for (const w of best.words) {
      const word = words[w]!;
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] !== best.left || word[i + 1] !== best.right) continue;
        const weight = weights[w]!;
        if (i > 0) change(word[i - 1]!, best.left, w, -weight);
        if (i + 2 < word.length) change(best.right, word[i + 2]!, w, -weight);
        change(best.left, best.right, w, -weight);
        word.splice(i, 2, id);
        if (i > 0) change(word[i - 1]!, id, w, weight);
        if (i + 1 < word.length) change(id, word[i + 1]!, w, weight);
      }
    }
  }
  return { entries, merges };
}

/** A binary heap of (count, pair); a pair whose count has changed since is stale and passed over. */
class Queue {
  readonly #heap: { count: number; pair: Pair }[] = [];

  push(count: number, pair: Pair): void {
    if (count <= 0) return;
    const heap = this.#heap;
    let at = heap.push({ count, pair }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  pop(): Pair | undefined {
    const heap = this.#heap;
    while (heap.length > 0) {
      const top = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        this.#sink();
      }
      if (top.count === top.pair.count) return top.pair;
    }
    return undefined;
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let first = at;
      if (left < heap.length && this.#before(left, first)) first = left;
      if (right < heap.length && this.#before(right, first)) first = right;
      if (first === at) return;
      [heap[at], heap[first]] = [heap[first]!, heap[at]!];
      at = first;
    }
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a]!, this.#heap[b]!];
    if (x.count !== y.count) return x.count > y.count;
    return x.pair.left !== y.pair.left ? x.pair.left < y.pair.left : x.pair.right < y.pair.right;
  }
}
