// Chat templates by name in a GGUF, as gguf-py writes them (goldens/gguf/make_templates.py), and back.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ggufTemplates, templatesOfGguf } from '../../src/text/gguf-templates.ts';

type Templates = string | readonly { name: string; template: string }[];
const { cases } = JSON.parse(
  readFileSync(new URL('../../goldens/gguf/templates.json', import.meta.url), 'utf8'),
) as { cases: Record<string, { templates: Templates; keys: Record<string, unknown> }> };

const byName = (templates: Templates): Record<string, string> =>
  typeof templates === 'string'
    ? { default: templates }
    : Object.fromEntries(templates.map(({ name, template }) => [name, template]));

test.each(Object.entries(cases))('%s', (name, { templates, keys }) => {
  const { entries, lost } = ggufTemplates(byName(templates));
  const written = Object.fromEntries(
    [...entries].map(([key, { value }]) => [
      key,
      Array.isArray(value) ? [...(value as string[])].sort() : value,
    ]),
  );
  expect(written).toEqual(keys);
  expect(lost.length).toBe(name === 'no default' ? 1 : 0);
  const spelt = Object.entries(byName(templates)).map(([of, source]) => [of.replace(/\W| /g, '_'), source]);
  expect(byName(templatesOfGguf(keys) as Templates)).toEqual(Object.fromEntries(spelt));
});

test('no template is none; two names that are spelt alike lose one, said', () => {
  expect(templatesOfGguf({ 'tokenizer.ggml.model': 'gpt2' })).toBeUndefined();
  expect(ggufTemplates({}).entries.size).toBe(0);
  const { entries, lost } = ggufTemplates({ default: 'a', 'b-c': 'b', 'b c': 'c' });
  expect(entries.get('tokenizer.chat_template.b_c')).toEqual({ type: 'string', value: 'b' });
  expect(lost).toEqual([expect.stringContaining('"b c"')]);
});
