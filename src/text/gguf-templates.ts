// Chat templates by name, as a GGUF has them and as tokenizer_config.json: the default under the plain key, each other under
// its name, which gguf-py spells in letters and digits.

import type { GgufEntry } from '../sources/checkpoints/write-gguf.ts';

const KEY = 'tokenizer.chat_template';
const DEFAULT = 'default';

/** `chat_template` of tokenizer_config.json, whichever keys the file has; undefined where it has none. */
export function templatesOfGguf(
  metadata: Readonly<Record<string, unknown>>,
): string | readonly { readonly name: string; readonly template: string }[] | undefined {
  const plain = metadata[KEY];
  const named = Object.entries(metadata).flatMap(([key, template]) =>
    key.startsWith(`${KEY}.`) && typeof template === 'string'
      ? [{ name: key.slice(KEY.length + 1), template }]
      : [],
  );
  if (named.length === 0) return typeof plain === 'string' ? plain : undefined;
  return [...(typeof plain === 'string' ? [{ name: DEFAULT, template: plain }] : []), ...named];
}

interface ManyTemplates {
  readonly entries: ReadonlyMap<string, GgufEntry>;
  /** Names that another template has once both are spelt so. */
  readonly lost: readonly string[];
}

/** @param templates by name; one that has none is `default` */
export function ggufTemplates(templates: Readonly<Record<string, string>>): ManyTemplates {
  const entries = new Map<string, GgufEntry>();
  const [names, lost]: [string[], string[]] = [[], []];
  for (const [given, value] of Object.entries(templates)) {
    const name = given.replace(/[^A-Za-z0-9]/g, '_');
    const key = name === DEFAULT ? KEY : `${KEY}.${name}`;
    if (entries.has(key)) {
      lost.push(`the chat template ${JSON.stringify(given)}: another one is called ${name} as well`);
      continue;
    }
    entries.set(key, { type: 'string', value });
    if (name !== DEFAULT) names.push(name);
  }
  if (names.length > 0) entries.set('tokenizer.chat_templates', { type: 'strings', value: names });
  if (names.length > 0 && !entries.has(KEY))
    lost.push(`which chat template counts: none is called "${DEFAULT}", and llama.cpp asks for one by name`);
  return { entries, lost };
}
