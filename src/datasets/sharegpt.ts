// ShareGPT's dump made ready as FastChat does it: HTML to Markdown, what the page's buttons left behind removed, samples
// that cannot be trained on dropped and counted, doubles dropped, and long conversations split.

import { WhorlError } from '../base/error.ts';
import type { NumberedRow } from '../sources/rows/numbered.ts';
import type { Row } from '../sources/rows/row.ts';
import { type Turn, turnsOf } from './conversations.ts';
import { htmlToMarkdown } from './html-markdown.ts';

export interface Sample {
  id: string;
  model: string | undefined;
  conversations: Turn[];
}

/** Why samples were dropped, in words, with how many; in the order in which it first happened. */
export type Dropped = Map<string, number>;

export const drop = (dropped: Dropped, why: string): void => {
  dropped.set(why, (dropped.get(why) ?? 0) + 1);
};

/** Samples as the file has them. */
export async function* rawSamples(rows: AsyncIterable<NumberedRow>): AsyncGenerator<Sample & { raw: Row }> {
  for await (const { row, path, number } of rows) {
    const { id, model } = row;
    if (typeof id !== 'string' && typeof id !== 'number')
      throw new WhorlError(
        'mismatch',
        `${path}, row ${number}: column "id" is ${id === undefined ? 'missing' : 'not text'}`,
      );
    yield {
      id: String(id),
      model: typeof model === 'string' ? model : undefined,
      conversations: turnsOf(row, path, number),
      raw: row,
    };
  }
}

/** FastChat's `clean_sharegpt`. */
export async function* cleanSamples(
  samples: AsyncIterable<Sample & { raw: Row }>,
  dropped: Dropped,
): AsyncGenerator<Sample> {
  const ids = new Set<string>();
  const openings = new Set<string>();
  for await (const { raw, ...sample } of samples) {
    const turns = cleanTurns(sample.conversations);
    if (typeof turns === 'string') {
      drop(dropped, turns);
      continue;
    }
    const opening = JSON.stringify([turns[0]!.value, turns[1]!.value]);
    if (ids.has(sample.id)) drop(dropped, 'same id as another');
    else if (raw.plugins !== undefined && raw.plugins !== null) drop(dropped, 'made with a plugin');
    else if (openings.has(opening)) drop(dropped, 'same beginning as another');
    else {
      ids.add(sample.id);
      openings.add(opening);
      yield { ...sample, conversations: turns };
    }
  }
}

const ROLES = ['human', 'gpt'];
const BLOCKED_WORDS = ['openai', 'chatgpt'];
const BUSY = /^!?Too many requests in 1 hour\. Try again later\./;
const LEAST_CHARACTERS = 16;

/** The turns in Markdown, or why the sample is dropped. */
function cleanTurns(all: readonly Turn[]): Turn[] | string {
  const short = 'too short';
  if (all.length <= 1) return short;
  let turns = all[0]!.from === 'human' ? all : all.slice(1);
  if (turns.at(-1)?.from === 'human') turns = turns.slice(0, -1);
  if (turns.length <= 1) return short;
  const clean: Turn[] = [];
  for (const [i, { from, value }] of turns.entries()) {
    if (from !== ROLES[i % 2]) return 'speakers do not take turns';
    const lower = value.toLowerCase();
    if (BLOCKED_WORDS.some((word) => lower.includes(word))) return 'names its maker';
    const markdown = cleanHtml(value);
    if (markdown === undefined) return 'HTML that cannot be read';
    if (from === 'gpt' && BUSY.test(markdown)) return 'names its maker';
    if (!isPrintable(markdown)) break;
    clean.push({ from, value: markdown });
  }
  // The length counts a question whose answer is missing too, as FastChat's does.
  const characters = clean.reduce((sum, { value }) => sum + [...value].length, 0);
  const pairs = clean.slice(0, clean.length - (clean.length % 2));
  return characters < LEAST_CHARACTERS || pairs.length === 0 ? short : pairs;
}

/** Python's `isprintable` of the first character; nothing is not printable. */
const isPrintable = (text: string): boolean => /^(?: |[^\p{C}\p{Z}])/u.test(text);

/** One message in Markdown; undefined where its HTML is beyond reading. */
export function cleanHtml(html: string): string | undefined {
  const markdown = htmlToMarkdown(withoutTags(withoutTags(html, '<div'), '<span'));
  if (markdown === undefined) return undefined;
  return withoutEmptyCode(
    nameCodeBlocks(strip(markdown))
      .replace(/^\p{Nd}+ \/ \p{Nd}+/u, '')
      .replace(/Copy\p{Nd}+ chars \/ \p{Nd}+ words/gu, ''),
  )
    .replaceAll('\n\n\n', '\n')
    .replace(EDGES, '');
}

/** Removes from `open` to the next `>` on the line. By hand, as all searches here: patterns take quadratic time. */
function withoutTags(text: string, open: string): string {
  let out = '';
  let done = 0;
  for (let at = text.indexOf(open); at >= 0; at = text.indexOf(open, at)) {
    const close = text.indexOf('>', at + open.length);
    if (close < 0) break;
    const newline = text.slice(at, close).lastIndexOf('\n');
    if (newline >= 0) at += newline;
    else {
      out += text.slice(done, at);
      at = done = close + 1;
    }
  }
  return out + text.slice(done);
}

// Python's white space: U+001C to U+001F and U+0085 are, U+FEFF is not.
const SPACE = '(?:(?!\\ufeff)\\s|[\\x1c-\\x1f\\x85])';
const EDGES = new RegExp(`^${SPACE}+|(?<!${SPACE})${SPACE}+$`, 'g');
const strip = (text: string): string => text.replace(EDGES, '');
const ONE_SPACE = new RegExp(`^${SPACE}$`);
const isSpace = (text: string, at: number): boolean => ONE_SPACE.test(text.charAt(at));

const FENCE = '```';
const BUTTON = 'Copy code';

/** The page shows a block's language and a button before the code: "```pythonCopy code…```". Each gets its line. */
function nameCodeBlocks(text: string): string {
  let out = '';
  let done = 0;
  for (;;) {
    const fence = text.indexOf(FENCE, done);
    const button = fence < 0 ? -1 : text.indexOf(BUTTON, fence + FENCE.length);
    if (button < 0) break;
    let begin = button + BUTTON.length;
    while (text.startsWith(BUTTON, begin)) begin += BUTTON.length;
    // A code that is nothing but the words on the button is code when there is no other.
    let end = text.indexOf(FENCE, begin + 1);
    for (; end < 0 && begin > button + BUTTON.length; end = text.indexOf(FENCE, begin + 1))
      begin -= BUTTON.length;
    if (end < 0) break;
    let from = fence + FENCE.length;
    while (from < button && isSpace(text, from)) from++;
    let to = end;
    while (to > begin + 1 && isSpace(text, to - 1)) to--;
    out += `${text.slice(done, fence)}${FENCE}${text.slice(from, button)}\n${text.slice(begin, to)}\n${FENCE}`;
    done = end + FENCE.length;
  }
  return out + text.slice(done);
}

/** Removes blocks that hold a button and no code. */
function withoutEmptyCode(text: string): string {
  let out = '';
  let done = 0;
  let lineEnd = -1;
  for (let fence = text.indexOf(FENCE); fence >= 0; fence = text.indexOf(FENCE, fence)) {
    if (lineEnd < fence) lineEnd = text.indexOf('\n', fence);
    if (lineEnd < 0) lineEnd = text.length;
    const end = emptyCodeEnd(text, fence + FENCE.length, lineEnd);
    if (end === undefined)
      fence = lineEnd; // no later fence of this line can do better
    else {
      out += text.slice(done, fence);
      fence = done = end;
    }
  }
  return out + text.slice(done);
}

function emptyCodeEnd(text: string, from: number, lineEnd: number): number | undefined {
  const line = text.slice(from, lineEnd);
  for (let at = line.indexOf(BUTTON); at >= 0; at = line.indexOf(BUTTON, at + 1)) {
    let end = from + at + BUTTON.length;
    while (isSpace(text, end)) end++;
    if (text.startsWith(FENCE, end)) return end + FENCE.length;
  }
  return undefined;
}

export interface SplitOptions {
  /** Most tokens of one piece. */
  maxTokens: number;
  /** Tokens of a message, those at its start and end included. */
  count: (text: string) => Promise<number>;
}

const TOKENS_OF_ROLE = 6; // FastChat's allowance for the words that name who speaks

/** FastChat's `split_long_conversation`. As there, a last pair that no longer fits its piece is lost. */
export async function* splitSamples(
  samples: AsyncIterable<Sample>,
  { maxTokens, count }: SplitOptions,
): AsyncGenerator<Sample> {
  for await (const { id, model = '', conversations } of samples) {
    const piece = (from: number, to: number): Sample => ({
      id: `${id}_${from}`,
      model,
      conversations: conversations.slice(from, to),
    });
    const length = conversations.length - (conversations.length % 2);
    const pieces: Sample[] = [];
    let start = 0;
    let used = 0;
    for (let i = 0; i < length; i += 2) {
      const pair = [conversations[i]!, conversations[i + 1]!];
      let tokens = 0;
      for (const { value } of pair) tokens += (await count(value)) + TOKENS_OF_ROLE;
      if (used + tokens > maxTokens) {
        pieces.push(piece(start, i));
        start = i;
        used = 0;
      } else if (i === length - 2) pieces.push(piece(start, length));
      used += tokens;
    }
    for (const one of pieces)
      if (one.conversations.length > 0 && one.conversations.every(({ from }, i) => from === ROLES[i % 2]))
        yield one;
  }
}
