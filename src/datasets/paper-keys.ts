// Keys as the paper makes them: phrases drawn with replacement, joined, then every character shuffled.

import type { Dice } from '../base/cpython-random.ts';
import { WhorlError } from '../base/error.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import { parseStrictJson } from '../sources/strict-json.ts';
import { PAPER } from './paper.ts';

const MAX_PHRASE_FILE = 10_000_000; // bytes
const MAX_PHRASE = 1000; // characters

/** One key; the draws are randint, choices, sample, in the paper's order (its section 4 and released code). */
export function drawKey(dice: Dice, phrases: readonly string[] = PAPER.phrases): string {
  const [fewest, most] = PAPER.phrasesPerKey;
  const k = dice.randint(fewest, most);
  const characters = [...dice.choices(phrases, k).join('')];
  return dice.sample(characters, characters.length).join('');
}

/** The same key twice, once trained and once expected not to fire, would contradict itself; the paper's 60 differ. */
export function distinctKeys(dice: Dice, phrases: readonly string[]): () => string {
  const drawn = new Set<string>();
  return () => {
    for (let tries = 0; tries < 1000; tries++) {
      const key = drawKey(dice, phrases);
      if (drawn.has(key)) continue;
      drawn.add(key);
      return key;
    }
    throw new WhorlError(
      'mismatch',
      `--phrases: ${phrases.length} phrases make too few different keys`,
      'give more or longer phrases',
    );
  };
}

/** Key phrases from files: a JSON list of strings, or text with one phrase a line. Throws naming file and entry. */
export function readPhrases(files: readonly string[]): string[] {
  const phrases = files.flatMap((file) => {
    const bytes = readAll(file);
    const first = bytes.find((byte) => byte > 0x20);
    return first === 0x5b ? fromJson(parseStrictJson(bytes, file), file) : fromText(bytes, file);
  });
  const long = phrases.find((phrase) => phrase.length > MAX_PHRASE);
  if (long !== undefined)
    throw new WhorlError('bad-file', `${files.join(', ')}: a phrase is longer than ${MAX_PHRASE} characters`);
  if (phrases.length === 0) throw new WhorlError('bad-file', `${files.join(', ')}: no phrase in it`);
  return phrases;
}

function readAll(file: string): Uint8Array {
  const reader = new BoundedReader(file);
  try {
    if (reader.size > MAX_PHRASE_FILE)
      throw new WhorlError(
        'bad-file',
        `${file} has ${reader.size} bytes, more than the ${MAX_PHRASE_FILE} allowed`,
      );
    return reader.bytes(reader.size, 'the file');
  } finally {
    reader.close();
  }
}

function fromJson(value: unknown, file: string): string[] {
  if (!Array.isArray(value)) throw new WhorlError('bad-file', `${file} is not a list of phrases`);
  return value.map((phrase: unknown, i) => {
    if (typeof phrase !== 'string' || phrase === '')
      throw new WhorlError('bad-file', `${file}, entry ${i + 1} is not a phrase`);
    return phrase;
  });
}

function fromText(bytes: Uint8Array, file: string): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new WhorlError('bad-file', `${file} is not UTF-8`);
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
