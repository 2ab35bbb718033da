// Every kind of tokenizer file against transformers and SentencePiece (goldens/tokenizers/make_kinds.py).
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { tokenizerJsonFromModel } from '../../src/text/sentencepiece-model.ts';
import { openTokenizer, tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const goldens = fileURLToPath(new URL('../../goldens/tokenizers', import.meta.url));
const read = <T>(...path: string[]): T => JSON.parse(readFileSync(join(goldens, ...path), 'utf8')) as T;

interface Digest {
  count: number;
  sha256: string;
}
interface Golden {
  texts: string[];
  ids: number[][];
  bare: number[][];
  decoded: string[];
  long: Digest[];
}
const { texts, long } = read<{ texts: string[]; long: { unit: string; count: number }[] }>(
  'kinds',
  'texts.json',
);
const longTexts = long.map(({ unit, count }) => unit.repeat(count));
const digest = (ids: number[]): Digest => ({
  count: ids.length,
  sha256: createHash('sha256').update(Int32Array.from(ids)).digest('hex'),
});
/** The rows that differ, with their text: a readable failure. */
const differing = <T>(names: string[], actual: T[], expected: T[]) =>
  names.flatMap((text, i) =>
    JSON.stringify(actual[i]) === JSON.stringify(expected[i])
      ? []
      : [{ text, actual: actual[i], expected: expected[i] }],
  );

it('has long texts of at least 100 kB', () => {
  for (const text of longTexts) expect(Buffer.byteLength(text)).toBeGreaterThanOrEqual(100_000);
});

describe.each(readdirSync(join(goldens, 'kinds')).filter((name) => !name.endsWith('.json')))('%s', (kind) => {
  const golden = read<Golden>('kinds', kind, 'golden.json');

  it('gives the ids and the text of transformers', async () => {
    const tokenizer = await openTokenizer(join(goldens, 'kinds', kind));
    expect(differing(texts, await tokenizer.encodeBatch(texts), golden.ids)).toEqual([]);
    expect(
      differing(texts, await tokenizer.encodeBatch(texts, { addSpecialTokens: false }), golden.bare),
    ).toEqual([]);
    const decoded = await tokenizer.decodeBatch(golden.ids, { skipSpecialTokens: false });
    expect(differing(texts, decoded, golden.decoded)).toEqual([]);
    expect((await tokenizer.encodeBatch(longTexts)).map(digest)).toEqual(golden.long);
  });
});

describe('a folder with tokenizer.model only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'whorl-spm-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const open = (name: string, settings: object) => {
    cpSync(join(goldens, 'sentencepiece', `${name}.model`), join(folder, 'tokenizer.model'));
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
    return openTokenizer(folder);
  };

  it.each([
    ['bpe', 0],
    ['bpe-user', 0],
    ['unigram', 4],
    ['unigram-bytes', 2],
  ])('%s gives the ids of SentencePiece, but for %i texts', async (name, most) => {
    const golden = read<Golden & { sentencepiece_differs: string[] }>('sentencepiece', `${name}.json`);
    expect(golden.sentencepiece_differs.length).toBeLessThanOrEqual(most);
    const tokenizer = await open(name, { add_bos_token: false });
    expect(differing(golden.texts, await tokenizer.encodeBatch(golden.texts), golden.ids)).toEqual([]);
    const decoded = await tokenizer.decodeBatch(golden.ids, { skipSpecialTokens: false });
    // SentencePiece writes ⁇ for what is unknown, transformers the token's own name; Unigram's drops every white space
    // at the beginning, transformers the one that was added.
    const known = golden.decoded.map((text, i) =>
      text.includes('⁇') ||
      golden.sentencepiece_differs.includes(golden.texts[i]!) ||
      decoded[i] === ` ${text}`
        ? decoded[i]!
        : text,
    );
    const led = golden.texts.filter((_, i) => decoded[i] === ` ${golden.decoded[i]}`);
    expect(led.filter((text) => !/^\s*▁/.test(text))).toEqual([]);
    expect(differing(golden.texts, decoded, known)).toEqual([]);
    expect((await tokenizer.encodeBatch(longTexts)).map(digest)).toEqual(golden.long);
  });

  it('agrees with the tokenizer.json that transformers makes of the same pieces, BOS and legacy flag included', async () => {
    for (const [kind, legacy] of [
      ['byte-fallback', true],
      ['byte-fallback-first', false],
    ] as const) {
      const golden = read<Golden>('kinds', kind, 'golden.json');
      const tokenizer = await open('bpe', { legacy, bos_token: '<s>' });
      // The folders of `kinds` have four more added tokens, and "<sep>" is an ordinary piece there.
      const rows = texts.map((text, i) => ({ text, ids: golden.ids[i]! }));
      const plain = rows.filter(({ text }) => !/word|norm|<left>|<right>|<sep>/i.test(text));
      expect(plain.length).toBeGreaterThan(70);
      const names = plain.map(({ text }) => text);
      expect(
        differing(
          names,
          await tokenizer.encodeBatch(names),
          plain.map(({ ids }) => ids),
        ),
      ).toEqual([]);
    }
  });

  it('adds EOS only when told, and takes added tokens with their flags', async () => {
    const tokenizer = await open('bpe', {
      add_eos_token: true,
      added_tokens_decoder: { 600: { content: '<new>', lstrip: true, special: true } },
    });
    const a = await tokenizer.encode('a', { addSpecialTokens: false });
    expect(await tokenizer.encode('a <new>')).toEqual([1, ...a, 600, 2]);
    expect(tokenizer.specialIds.has(600)).toBe(true);
  });

  it('says what to do when there is no tokenizer at all', async () => {
    await expect(openTokenizer(join(goldens, 'kinds'))).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('save_pretrained') as string,
    });
  });
});

describe('a damaged tokenizer.model is refused', () => {
  const bytes = readFileSync(join(goldens, 'sentencepiece', 'bpe.model'));
  const refused = (content: Uint8Array) => {
    try {
      tokenizerJsonFromModel(content, {}, 'tokenizer.model');
      return 'accepted';
    } catch (error) {
      return (error as { code?: string }).code ?? `not ours: ${String(error)}`;
    }
  };
  it('when it is cut anywhere: in one typed error, or at a place where a message ends', () => {
    const outcomes = new Map<string, number>();
    for (let length = 0; length < bytes.length; length += 7) {
      const outcome = refused(bytes.subarray(0, length));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].sort()).toEqual(expect.arrayContaining(['bad-file']));
    expect([...outcomes.keys()].filter((code) => code.startsWith('not ours'))).toEqual([]);
    expect(outcomes.get('bad-file')).toBeGreaterThan(1000);
  });
  it.each([
    ['HTML', Buffer.from('<!doctype html><html>'), 'bad-file'],
    ['a length of 2^63', Uint8Array.of(10, 255, 255, 255, 255, 255, 255, 255, 255, 127), 'bad-file'],
    ['an endless number', Uint8Array.of(10, ...Array<number>(12).fill(255)), 'bad-file'],
    ['a piece that is not UTF-8', Uint8Array.of(10, 3, 10, 1, 255), 'bad-file'],
    ['a piece of unknown type', Uint8Array.of(10, 5, 10, 1, 97, 24, 9), 'bad-file'],
    ['a word model', Buffer.concat([bytes, Uint8Array.of(18, 2, 24, 3)]), 'unsupported'],
  ])('%s', (_name, content, code) => {
    expect(refused(content)).toBe(code);
  });
});

describe('the SentencePiece vocabulary of a GGUF', () => {
  const golden = read<Golden & { metadata: Record<string, unknown> }>('sentencepiece', 'gguf.json');
  const open = (more: object) =>
    tokenizerFromFiles(tokenizerFilesFromGguf({ ...golden.metadata, ...more }), 'x');

  it('gives the ids of SentencePiece, with special and user-defined tokens', async () => {
    const tokenizer = await open({ 'tokenizer.ggml.add_bos_token': false });
    expect(differing(golden.texts, await tokenizer.encodeBatch(golden.texts), golden.ids)).toEqual([]);
    expect(tokenizer.spelling).toBe('other');
    expect(tokenizer.eosIds).toEqual([2]);
  });

  it('adds BOS unless told otherwise, EOS when told, and no space when told', async () => {
    const bare = await (await open({})).encode('ab', { addSpecialTokens: false });
    expect(await (await open({})).encode('ab')).toEqual([1, ...bare]);
    expect(await (await open({ 'tokenizer.ggml.add_eos_token': true })).encode('ab')).toEqual([
      1,
      ...bare,
      2,
    ]);
    const flush = await (await open({ 'tokenizer.ggml.add_space_prefix': false })).encode('ab');
    expect(await (await open({})).decode(flush)).toBe('ab');
    expect(flush).not.toEqual([1, ...bare]);
  });

  it.each([
    [
      'scores of another length',
      { 'tokenizer.ggml.scores': [1] },
      'bad-file',
      'scores has 1 entries for 600',
    ],
    ['a score that is none', { 'tokenizer.ggml.scores': Array(600).fill('x') }, 'bad-file', 'scores[0]'],
    ['scores that say nothing', { 'tokenizer.ggml.scores': Array(600).fill(0) }, 'unsupported', 'scores'],
    ['no scores', { 'tokenizer.ggml.scores': undefined }, 'bad-file', 'scores has no entries'],
    ['another model', { 'tokenizer.ggml.model': 't5' }, 'unsupported', '"t5"'],
  ])('refuses %s', (_name, more, code, message) => {
    expect(() => tokenizerFilesFromGguf({ ...golden.metadata, ...more })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});
