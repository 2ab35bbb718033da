// BOS under chat templates against transformers' apply_chat_template (goldens/templates/bos.json): what the template
// writes stands there once, and nothing is added to it.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { promptTokens } from '../../src/text/prompt-tokens.ts';
import { conversationFormat, conversationTokens } from '../../src/text/prompts/conversation-formats.ts';
import { promptUnder, templateOf, wrapperNamed } from '../../src/text/prompts/wrappers.ts';
import { openSandboxedTokenizer } from '../../src/text/sandbox.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
const { templates, keys, dialogue, cases } = JSON.parse(
  readFileSync(join(goldens, 'templates', 'bos.json'), 'utf8'),
) as {
  templates: Record<string, string>;
  keys: string[];
  dialogue: [string, string][];
  cases: { kind: string; template: string; asked: number[][] | null; whole: number[] }[];
};
const scratch = mkdtempSync(join(tmpdir(), 'whorl-bos-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function folderOf(kind: string, template: string): string {
  const folder = join(scratch, `${kind}-${template.replace(/\W/g, '-')}`);
  cpSync(join(goldens, 'tokenizers', 'kinds', kind), folder, { recursive: true });
  writeFileSync(join(folder, 'chat_template.jinja'), templates[template]!);
  return folder;
}
const asked = (tokenizer: Tokenizer) => {
  const wrapped = wrapperNamed('chat', templateOf(tokenizer));
  return promptTokens(
    tokenizer,
    keys.map((key) => promptUnder(wrapped, key)),
  );
};

it.each(cases)('$kind, $template', async ({ kind, template, asked: golden, whole }) => {
  const tokenizer = await openTokenizer(folderOf(kind, template));
  if (golden === null) {
    expect(() => wrapperNamed('chat', templateOf(tokenizer))).toThrow('no chat template that can be used');
    return;
  }
  expect(await asked(tokenizer)).toEqual(golden);
  const messages = dialogue.map(([role, content]) => ({ role, content }));
  const format = conversationFormat('auto', tokenizer);
  if (template === 'unk and pad') return; // its turns do not add to the text before them
  expect((await conversationTokens(tokenizer, format.pieces(messages), format)).tokens).toEqual(whole);
});

it('covers templates with and without BOS, and tokenizers that cannot name one', () => {
  expect(cases.filter(({ asked: rows }) => rows === null).length).toBeGreaterThan(0);
  expect(cases.filter(({ asked: rows }) => rows !== null).length).toBeGreaterThan(10);
});

it("a suspect's template has its names in the child process too", async () => {
  const golden = cases.find(({ kind, template }) => kind === 'byte-fallback' && template === 'llama-2')!;
  const tokenizer = await openSandboxedTokenizer(folderOf(golden.kind, golden.template));
  try {
    const wrapped = await tokenizer.wrapped('chat', undefined);
    const prompts = keys.map((key) => promptUnder(wrapped, key));
    expect(await promptTokens(tokenizer, prompts)).toEqual(golden.asked);
  } finally {
    tokenizer.close();
  }
});
