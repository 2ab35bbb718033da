// Which embedding rows a fingerprint may use: tokens that ordinary text of many languages does not produce.
// "Ordinary" is the reference set's rows part, every assigned character of Unicode's basic plane, and nothing else.

import type { Tokenizer } from '../text/tokenizer.ts';

export interface FreeRow {
  readonly id: number;
  /** The token's own text; with a replacement character where its bytes are no whole characters. */
  readonly text: string;
  /** Its text is valid UTF-8, unchanged by Unicode normalisation, and encodes to this one token. */
  readonly standsAlone: boolean;
  /** A step of merging that longer entries swallow in any ordinary word (` answ`, `ocultural`): no word by itself. */
  readonly leftOver: boolean;
}

export interface OrdinaryText {
  readonly texts: readonly string[];
  readonly words: readonly string[];
  readonly emoji: readonly string[];
}

interface FreeRowCounts {
  /** Entries of the vocabulary. */
  readonly vocabulary: number;
  /** Special, added and reserved ones: never used. */
  readonly reserved: number;
  /** Seen in ordinary text, or without any letter. */
  readonly ordinary: number;
  readonly free: number;
  /** Of the free ones, those whose text survives decoding and encoding. */
  readonly standAlone: number;
}

export interface FreeRows {
  /** Those that well-formed text produces least come first; all that stand alone before all others. */
  readonly rows: readonly FreeRow[];
  readonly counts: FreeRowCounts;
}

const WORDS_PER_LINE = 400; // one native call per line: a call per word costs ten times as much
const LINES_PER_BATCH = 256;
const RESERVED = /^<(?:\|?reserved|\|?unused|extra_id|pad|mask)|^\[(?:unused|pad|mask)/i;
const HEX_BYTE = /^<0x[0-9a-f]{2}>$/i; // SentencePiece's byte entries

/** Encodes the ordinary text (some seconds) and returns what it leaves over. `extra` is text the caller adds. */
export async function freeRows(
  tokenizer: Tokenizer,
  ordinary: OrdinaryText,
  extra: readonly string[] = [],
): Promise<FreeRows> {
  const seen = await tokensOf(tokenizer, ordinaryLines(ordinary, extra));
  const unseen: number[] = [];
  let vocabulary = 0;
  let reserved = 0;
  let usual = 0;
  for (let id = 0; id < tokenizer.vocab_size; id++) {
    const token = tokenizer.tokenOf(id);
    if (token === undefined) continue;
    vocabulary++;
    if (
      tokenizer.specialIds.has(id) ||
      tokenizer.addedIds.has(id) ||
      RESERVED.test(token) ||
      HEX_BYTE.test(token)
    )
      reserved++;
    else if (seen.has(id)) usual++;
    else unseen.push(id);
  }
  const decoded = await tokenizer.decodeBatch(
    unseen.map((id) => [id]),
    { skipSpecialTokens: false },
  );
  // Indents, rules and brackets are what code and tables are made of, whether or not the reference shows each one.
  const candidates = unseen.filter((_, i) => /\p{L}/u.test(decoded[i]!));
  usual += unseen.length - candidates.length;
  const texts = decoded.filter((text) => /\p{L}/u.test(text));
  const again = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  const stems = candidates.filter((id, i) => isStem(tokenizer.tokenOf(id)!, texts[i]!, tokenizer));
  const leftOvers = partsOfLonger(tokenizer, stems);
  const rows = candidates.map((id, i): FreeRow => {
    const text = texts[i]!;
    const stable = !text.includes('\ufffd') && text.normalize('NFKC') === text;
    const standsAlone = stable && again[i]!.length === 1 && again[i]![0] === id;
    return { id, text, standsAlone, leftOver: leftOvers.has(id) };
  });
  // Later entries of a vocabulary were merged last, so they are the rarest; ids break ties so that order is fixed.
  const key = new Map(rows.map((row) => [row.id, strangeness(row)]));
  const sorted = rows.sort((a, b) => key.get(b.id)! - key.get(a.id)! || b.id - a.id);
  return {
    rows: sorted,
    counts: {
      vocabulary,
      reserved,
      ordinary: usual,
      free: sorted.length,
      standAlone: sorted.filter(({ standsAlone }) => standsAlone).length,
    },
  };
}

const INITIALS = /^\s?\p{Lu}+s?$/u;
const lettersOf = (text: string): string => text.replace(/[^\p{L}]/gu, '');

/** What may be a left-over of merging: no initials, no scrap, nothing that is inflected as a word is. */
function isStem(spelling: string, text: string, tokenizer: Tokenizer): boolean {
  if (INITIALS.test(text) || lettersOf(text).length <= 3) return false;
  return !ENDINGS.some((ending) => tokenizer.idOf(spelling + ending) !== undefined);
}

/** Longer ones are no merges of words (runs of one sign), and their parts would be as many as their length squared. */
const LONGEST_ENTRY = 128;

/** Those of the ids whose spelling is a part of another entry: every entry is cut into all its parts, once. */
function partsOfLonger(tokenizer: Tokenizer, ids: readonly number[]): Set<number> {
  const left = new Map(ids.map((id) => [tokenizer.tokenOf(id)!, id]));
  const lengths = [...new Set([...left.keys()].map(({ length }) => length))].sort((a, b) => a - b);
  const found = new Set<number>();
  for (let id = 0; id < tokenizer.vocab_size; id++) {
    const entry = tokenizer.tokenOf(id) ?? '';
    if (entry.length > LONGEST_ENTRY) continue;
    for (const length of lengths) {
      if (length >= entry.length) break;
      for (let at = 0; at + length <= entry.length; at++) {
        const own = left.get(entry.slice(at, at + length));
        if (own !== undefined) found.add(own);
      }
    }
  }
  return found;
}

/**
 * How little well-formed text produces a token. 16: it stands alone. 8: a left-over of merging. 4: several scripts, or
 * capitals inside. -4: a plural of initials (`URLs`); -2: looks like a whole word of its own (a name, an abbreviation).
 */
function strangeness({ text, standsAlone, leftOver }: FreeRow): number {
  const letters = lettersOf(text);
  const initials = INITIALS.test(text);
  let score = (standsAlone ? 16 : 0) + (leftOver ? 8 : 0);
  if (/\p{Script=Latin}/u.test(letters) && /[^\p{Script=Latin}]/u.test(letters)) score += 4;
  if (/\p{Ll}\p{Lu}|\p{Lu}{2}\p{Ll}/u.test(text) && !initials) score += 4;
  if (/^\s?\p{Lu}{2,}s$/u.test(text)) score -= 4;
  if (/^\s\p{L}+$/u.test(text) || initials) score -= 2;
  return score;
}

const ENDINGS = ['s', 'es', 'ed', 'ing', 'ly', 'al', 'ic', 'ism', 'ist'];

function* ordinaryLines({ texts, words, emoji }: OrdinaryText, extra: readonly string[]): Generator<string> {
  yield* texts;
  yield* extra;
  for (const text of texts) yield ` ${text.toUpperCase()}`;
  yield* inLines([...emoji, ...basicPlane()]);
  yield* inLines(words);
  for (const form of [capitalised, (word: string) => word.toUpperCase()])
    yield* inLines(
      words
        .map((word) => ({ word, changed: form(word) }))
        .filter(({ word, changed }) => word !== changed)
        .map(({ changed }) => changed),
    );
}

/** Each word at the start of a line, and each after a space. */
function* inLines(words: readonly string[]): Generator<string> {
  for (let at = 0; at < words.length; at += WORDS_PER_LINE) {
    const part = words.slice(at, at + WORDS_PER_LINE);
    yield part.join('\n');
    yield ` ${part.join(' ')}`;
  }
}

const capitalised = (word: string): string => {
  const [first = ''] = word;
  return first.toUpperCase() + word.slice(first.length).toLowerCase();
};

/** Every assigned letter, mark, number, sign of U+0000…U+FFFF. */
function basicPlane(): string[] {
  const out: string[] = [];
  for (let code = 0x21; code < 0x10000; code++) {
    const char = String.fromCharCode(code);
    if (/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) out.push(char);
  }
  return out;
}

async function tokensOf(tokenizer: Tokenizer, lines: Iterable<string>): Promise<Set<number>> {
  const seen = new Set<number>();
  let batch: string[] = [];
  const flush = async () => {
    for (const ids of await tokenizer.encodeBatch(batch, { addSpecialTokens: false }))
      for (const id of ids) seen.add(id);
    batch = [];
  };
  for (const line of lines) {
    batch.push(line);
    if (batch.length === LINES_PER_BATCH) await flush();
  }
  await flush();
  return seen;
}
