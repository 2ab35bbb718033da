// Hostile tokenizers and chat templates: each ends in one WhorlError within its limit, and this process lives.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { templateOf, wrapperNamed } from '../../src/text/prompts/wrappers.ts';
import { openSandboxedTokenizer, type SandboxLimits } from '../../src/text/sandbox.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const kinds = fileURLToPath(new URL('../../goldens/tokenizers/kinds', import.meta.url));
const { texts } = JSON.parse(readFileSync(join(kinds, 'texts.json'), 'utf8')) as { texts: string[] };
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whorl-sandbox-'));
  cpSync(join(kinds, 'byte-level'), folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));
type Json = Record<string, unknown>;
const change = (file: string, edit: (json: Json) => void) => {
  const json = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Json;
  edit(json);
  writeFileSync(join(folder, file), JSON.stringify(json));
};
const template = (text: string) => writeFileSync(join(folder, 'chat_template.jinja'), text);

it('a template that writes today’s date has one', async () => {
  template("{{ strftime_now('%Y') }} {{ messages[0].content }}");
  const there = await openSandboxedTokenizer(folder);
  try {
    const years = [new Date().getFullYear()];
    const { prefix } = await there.wrapped('chat', undefined);
    years.push(new Date().getFullYear()); // a year may end in between
    expect(years.map((year) => `${year} `)).toContain(prefix);
  } finally {
    there.close();
  }
});

it('answers as the tokenizer in this process does', async () => {
  template(CHATML);
  const here = await openTokenizer(folder);
  const there = await openSandboxedTokenizer(folder);
  try {
    const rows = await here.encodeBatch(texts);
    expect(await there.encodeBatch(texts)).toEqual(rows);
    expect(await there.encodeBatch(texts, { addSpecialTokens: false })).toEqual(
      await here.encodeBatch(texts, { addSpecialTokens: false }),
    );
    expect(await there.decodeBatch(rows)).toEqual(await here.decodeBatch(rows));
    expect(await there.encode('a b', { continued: true })).toEqual(
      await here.encode('a b', { continued: true }),
    );
    expect(await there.encode('a b')).toEqual(await here.encode('a b'));
    expect(await there.decode([300], { skipSpecialTokens: false })).toBe(await here.decode([300]));
    expect(await there.encodeBatch([])).toEqual([]);
    for (const name of [
      'vocab_size',
      'eosId',
      'eosIds',
      'specialTokens',
      'bosId',
      'padId',
      'chatTemplate',
      'spelling',
      'specialIds',
      'addedIds',
    ] as const)
      expect(there[name], name).toEqual(here[name]);
    for (let id = 0; id <= here.vocab_size; id++) expect(there.tokenOf(id)).toBe(here.tokenOf(id));
    expect(there.idOf('Ġ')).toBe(here.idOf('Ġ'));
    for (const system of [undefined, 'Be brief.'])
      expect(await there.wrapped('chat', system)).toEqual(
        wrapperNamed('chat', { ...templateOf(here), system }),
      );
    await expect(there.wrapped('cat', undefined)).rejects.toMatchObject({ code: 'usage' });
    expect(await there.encode('still there')).toEqual(await here.encode('still there'));
  } finally {
    there.close();
  }
  await expect(there.encode('a')).rejects.toThrow('was closed');
});

const LIMITS: Partial<SandboxLimits> = {
  request_ms: 3000,
  heap_mb: 128,
  memory_mb: 512,
  reply_bytes: 2 ** 22,
};
const seconds = 20; // opening, the limit, and a machine that does other work besides
const split = (Regex: string) => (json: Json) => {
  json.pre_tokenizer = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
};
/** `a` → `aa`, forty times over. */
const doubling = (json: Json) => {
  json.normalizer = {
    type: 'Sequence',
    normalizers: Array.from({ length: 40 }, () => ({
      type: 'Replace',
      pattern: { String: 'a' },
      content: 'aa',
    })),
  };
};
const nothing = () => undefined;

describe('a hostile model ends in one typed error', () => {
  it.each<[string, () => void, string, string]>([
    [
      'a nested repetition',
      () => change('tokenizer.json', split('(a+)+$')),
      'encode',
      'repeats a repetition',
    ],
    ['a polynomial pattern', () => change('tokenizer.json', split('a*a*a*a*a*a*a*$')), 'encode', ''],
    // By the watch of its memory, by the clock or by its own end, whichever comes first.
    ['a normaliser that doubles', () => change('tokenizer.json', doubling), 'encode', ''],
    [
      'malformed JSON',
      () => writeFileSync(join(folder, 'tokenizer.json'), '{"model": '),
      'encode',
      'is not JSON',
    ],
    ['deep JSON', () => writeFileSync(join(folder, 'tokenizer.json'), '['.repeat(5_000_000)), 'encode', ''],
    [
      'JSON of many small things',
      () => writeFileSync(join(folder, 'tokenizer.json'), `[${'{},'.repeat(12_000_000)}0]`),
      'encode',
      'process',
    ],
    ['no tokenizer', () => rmSync(join(folder, 'tokenizer.json')), 'encode', 'neither tokenizer.json nor'],
    ['range(1e9)', () => template('{% for i in range(1000000000) %}x{% endfor %}'), 'wrap', ''],
    [
      'loops in loops',
      () => template('{% for i in range(99999) %}{% for j in range(99999) %}{{ j }}{% endfor %}{% endfor %}'),
      'wrap',
      '',
    ],
    [
      'a string that doubles',
      () =>
        template(
          "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
        ),
      'wrap',
      '',
    ],
    [
      'a macro that calls itself',
      () => template('{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}'),
      'wrap',
      '',
    ],
    ['a template out of order', () => template('{% if %}'), 'wrap', 'chat template'],
    ['a template of a million braces', () => template('{{'.repeat(1_000_000)), 'wrap', 'chat template'],
  ])('%s', async (_name, prepare, request, message) => {
    prepare();
    const started = Date.now();
    const attempt = async () => {
      const tokenizer = await openSandboxedTokenizer(folder, LIMITS);
      try {
        await (request === 'wrap'
          ? tokenizer.wrapped('chat', undefined)
          : tokenizer.encode(`${'a'.repeat(20_000)}b`));
      } finally {
        tokenizer.close();
      }
    };
    const error = await attempt().then(nothing, (reason: unknown) => reason);
    expect(error).toBeInstanceOf(WhorlError);
    expect((error as WhorlError).message).toContain(message);
    expect((error as WhorlError).message).not.toContain('\n');
    expect(Date.now() - started).toBeLessThan(seconds * 1000);
  });

  it('a reply larger than the limit', async () => {
    const tokenizer = await openSandboxedTokenizer(folder, { reply_bytes: 20_000 });
    await expect(tokenizer.encode('a '.repeat(20_000))).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining('20000 bytes') as string,
    });
    await expect(tokenizer.encode('a')).rejects.toMatchObject({ code: 'bad-file' });
    tokenizer.close();
  });
});
