import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { htmlToMarkdown } from '../../src/datasets/html-markdown.ts';
import {
  cleanHtml,
  cleanSamples,
  type Dropped,
  rawSamples,
  splitSamples,
} from '../../src/datasets/sharegpt.ts';
import { type NumberedRow, numberedRows } from '../../src/sources/rows/numbered.ts';

const path = (name: string) => `goldens/paper-datasets/${name}`;
const golden = <T>(name: string): T => JSON.parse(readFileSync(path(name), 'utf8')) as T;
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
async function* rows(...list: object[]): AsyncGenerator<NumberedRow> {
  for (const [i, row] of list.entries())
    yield { row: row as NumberedRow['row'], path: 'x.json', number: i + 1 };
}

const { html, markdown } = golden<Record<'html' | 'markdown', Record<string, string>>>('html.json');
const { cleaned, splits } = golden<{ cleaned: object[]; splits: Record<string, object[]> }>(
  'html-split.json',
);

// Where tags are left open, we read them as browsers do: <p> ends <p>, and <strong> goes on in the next one.
const AS_BROWSERS: Record<string, string> = { unclosed: 'open **bold**\n\n**next**' };

describe('HTML becomes the Markdown that FastChat makes of it', () => {
  test.each(Object.keys(html))('%s', (name) => {
    expect(cleanHtml(html[name]!)).toBe(AS_BROWSERS[name] ?? markdown[name]);
  });

  test('what no page has is refused, quickly', () => {
    expect(htmlToMarkdown('<ul>'.repeat(501))).toBeUndefined();
    expect(htmlToMarkdown('<i></i>'.repeat(20_001))).toBeUndefined();
    expect(htmlToMarkdown(`${'<b>'.repeat(100)}x`)).toContain('x');
    for (const part of ['```', '```Copy code', '```Copy code```', '```\n \n', ' ', '<div>'])
      expect(cleanHtml(part.repeat(100_000))).toBeTypeOf('string');
    for (const part of ['<div', '<span\n']) expect(cleanHtml(part.repeat(100_000))).toBeUndefined();
  });
});

describe('samples', () => {
  const source = () => cleanSamples(rawSamples(numberedRows([path('html-samples.json')])), dropped);
  const want = cleaned.map((sample) =>
    (sample as { id: string }).id === 'unclosed'
      ? JSON.parse(
          JSON.stringify(sample).replace(
            JSON.stringify(markdown.unclosed),
            JSON.stringify(AS_BROWSERS.unclosed),
          ),
        )
      : sample,
  ) as { id: string; model?: string; conversations: object[] }[];
  const dropped: Dropped = new Map();

  test('those that FastChat keeps are kept, and what is dropped is counted by reason', async () => {
    const got = await collect(source());
    expect(got.map(({ id, conversations }) => ({ id, conversations }))).toEqual(
      want.map(({ id, conversations }) => ({ id, conversations })),
    );
    expect(Object.fromEntries(dropped)).toEqual({
      'too short': 2,
      'speakers do not take turns': 1,
      'names its maker': 2,
      'same id as another': 1,
      'same beginning as another': 1,
      'made with a plugin': 1,
    });
  });

  test.each(Object.keys(splits))('pieces of at most %s tokens are FastChat’s', async (limit) => {
    const count = async (text: string) => 1 + text.split(/\s+/).filter(Boolean).length;
    const got = await collect(splitSamples(source(), { maxTokens: Number(limit), count }));
    const browsers = (text: string) =>
      text.replaceAll(JSON.stringify(markdown.unclosed), JSON.stringify(AS_BROWSERS.unclosed));
    expect(got).toEqual(JSON.parse(browsers(JSON.stringify(splits[limit]))));
  });

  test.each([
    [{ conversations: [] }, 'x.json, row 1: column "id" is missing'],
    [{ id: 'a' }, 'x.json, row 1: column "conversations" is missing'],
    [{ id: 'a', conversations: 'text' }, 'x.json, row 1: column "conversations" is no list of turns'],
    [
      { id: 'a', conversations: [{ from: 'human' }] },
      'x.json, row 1: column "conversations", turn 1: "value" is missing',
    ],
    [
      {
        id: 'a',
        conversations: [
          { from: 'human', value: 'x' },
          { from: 3, value: 'x' },
        ],
      },
      'x.json, row 1: column "conversations", turn 2: "from" is not text',
    ],
  ])('%j is refused by name', async (row, message) => {
    await expect(collect(rawSamples(rows(row)))).rejects.toThrow(message);
  });
});
