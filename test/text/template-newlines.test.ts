// Templates as editors on Windows save them, and named ones as an object: goldens by transformers (goldens/templates/make_newlines.py).

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type ChatMessage, renderChat } from '../../src/text/prompts/chat-template.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

interface Golden {
  readonly kind: string;
  readonly messages: readonly ChatMessage[];
  readonly cases: readonly {
    readonly name: string;
    readonly files: Readonly<Record<string, unknown>>;
    readonly templates: Readonly<Record<string, string>>;
    readonly rendered: Readonly<Record<string, string>>;
  }[];
}
const goldens = new URL('../../goldens/', import.meta.url).pathname;
const golden = JSON.parse(readFileSync(join(goldens, 'templates/newlines.json'), 'utf8')) as Golden;
const root = mkdtempSync(join(tmpdir(), 'whorl-newlines-'));
afterAll(() => rmSync(root, { recursive: true }));

test.each(golden.cases)('$name', async ({ name, files, templates, rendered }) => {
  const folder = join(root, name);
  mkdirSync(folder);
  cpSync(join(goldens, 'tokenizers/kinds', golden.kind, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const { chatTemplates } = await openTokenizer(folder);
  expect(chatTemplates).toEqual(templates);
  for (const [which, text] of Object.entries(rendered))
    expect(renderChat(chatTemplates[which]!, golden.messages)).toBe(text);
});
