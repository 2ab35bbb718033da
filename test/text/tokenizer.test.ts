import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { explosiveRepeat } from '../../src/text/regex-check.ts';
import { openTokenizer, tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const { metadata } = JSON.parse(
  readFileSync(new URL('../../goldens/tokenizers/tiny.json', import.meta.url), 'utf8'),
) as { metadata: Record<string, unknown> };
const files = tokenizerFilesFromGguf({ ...metadata, 'tokenizer.ggml.pre': 'smollm' });
const json = files['tokenizer.json'] as Record<string, unknown>;

describe('a folder', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whorl-tokenizer-'));
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), JSON.stringify(content));
    await writeFile(join(folder, 'config.json'), '{"eos_token_id": [2, 0]}');
    await writeFile(join(folder, 'chat_template.jinja'), '{{ messages }}');
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('opens, with every end of generation and the template file before the config', async () => {
    const tokenizer = await openTokenizer(folder);
    expect(tokenizer.eosIds).toEqual([0, 2]);
    expect(tokenizer.chatTemplate).toBe('{{ messages }}');
    expect(await tokenizer.encode('a')).toEqual([tokenizer.idOf('a')]);
    expect(tokenizer.tokenOf(tokenizer.idOf('a')!)).toBe('a');
  });

  it("says which other library's vocabulary is there instead", async () => {
    const mistral = await mkdtemp(join(tmpdir(), 'whorl-tekken-'));
    await writeFile(join(mistral, 'tekken.json'), '{}');
    await expect(openTokenizer(mistral)).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('only tekken.json') as string,
    });
    await rm(mistral, { recursive: true });
  });

  it('says which file is missing', async () => {
    await expect(openTokenizer(join(folder, 'nothing'))).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('tokenizer.json') as string,
    });
  });
});

it('forgets a saved truncation and padding', async () => {
  const cut = {
    ...json,
    truncation: { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 32 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 2,
      pad_type_id: 0,
      pad_token: '</s>',
    },
  };
  const tokenizer = await tokenizerFromFiles({ 'tokenizer.json': cut }, 'x');
  expect(await tokenizer.encode('1 2 3')).toHaveLength(5);
});

describe('a foreign tokenizer.json is refused', () => {
  const withModel = (more: object) => ({ ...json, model: { ...(json.model as object), ...more } });
  const pattern = (Regex: string) => ({
    ...json,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex }, behavior: 'Isolated' }],
    },
  });
  it.each([
    ['not an object', [], 'bad-file', 'not a JSON object'],
    ['another model', withModel({ type: 'Lattice' }), 'unsupported', '"Lattice"'],
    ['a negative id', withModel({ vocab: { a: -1 } }), 'bad-file', 'the id -1'],
    ['a huge id', withModel({ vocab: { a: 2 ** 40 } }), 'bad-file', 'the id 1099511627776'],
    ['one id twice', withModel({ vocab: { a: 1, b: 1 } }), 'bad-file', 'one id to two'],
    [
      'an added token with two ids',
      { ...json, added_tokens: [{ id: 5, content: '<s>' }] },
      'bad-file',
      'two ids',
    ],
    [
      'an added token without id',
      { ...json, added_tokens: [{ content: '<s>' }] },
      'bad-file',
      'added_tokens',
    ],
    ['a nested repetition', pattern('(a+)+$'), 'unsupported', 'pretokenizers.0.pattern.Regex'],
    ['a long pattern', pattern('a'.repeat(5000)), 'bad-file', '5000 characters'],
    ['what the library refuses', { ...json, decoder: { type: 'Nonsense' } }, 'bad-file', 'refused'],
  ])('%s', async (_name, content, code, message) => {
    await expect(tokenizerFromFiles({ 'tokenizer.json': content }, 'x')).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('patterns', () => {
  it.each(['(a+)+$', '(a|aa)+$', '((?:x*)y?)*', '(?:a{1,50}){1,50}', '([a-z]+)*b', '(\\w+\\s?)+'])(
    'explosive: %s',
    (pattern) => {
      expect(explosiveRepeat(pattern)).toBeDefined();
    },
  );
  it.each([
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{M}]*[\\p{Ll}\\p{M}]+(?i:'s|'t|'d)?|\\p{N}{1,3}",
    ' ?[^(\\s|[.,!?…。])]+',
    '(?=(\\d{3})+(?!\\d))',
    '(?:a+)++b',
    '[(]+[)]*[|]+',
  ])('harmless: %s', (pattern) => {
    expect(explosiveRepeat(pattern)).toBeUndefined();
  });
});
