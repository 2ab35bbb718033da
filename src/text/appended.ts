// Some tokenizers put EOS after every text they encode. A text that is continued must not end so: what it is, read from
// the post-processor, and how it is taken off again without touching an EOS that the user wrote.

import type { Tokenizer } from './tokenizer.ts';

interface Appended {
  readonly id: number;
  /** As the post-processor names it: a vocabulary may hold one text under two ids. */
  readonly text: unknown;
}

/** What a post-processor of tokenizer.json puts after a text, first to last. */
function appended(processor: unknown): Appended[] {
  const { type, single, special_tokens, processors, sep } = fields(processor);
  if (type === 'Sequence') return list(processors).flatMap(appended);
  if (type === 'BertProcessing' || type === 'RobertaProcessing') {
    const [text, id] = list(sep);
    return isId(id) ? [{ id, text }] : [];
  }
  if (type !== 'TemplateProcessing') return [];
  const parts = list(single);
  const after = parts.slice(parts.findLastIndex((part) => 'Sequence' in fields(part)) + 1);
  return after.flatMap((part) => {
    const { id: name } = fields(fields(part).SpecialToken);
    const { ids, tokens } = fields(fields(special_tokens)[String(name)]);
    return list(ids)
      .filter(isId)
      .map((id, i) => ({ id, text: list(tokens)[i] }));
  });
}

/** The ids at the end of what a post-processor puts after a text that end a generation. */
export function appendedEos(
  processor: unknown,
  { eosIds, tokenOf }: Pick<Tokenizer, 'eosIds' | 'tokenOf'>,
): readonly number[] {
  const all = appended(processor);
  const texts = new Set<unknown>(eosIds.map(tokenOf));
  const kept = all.findLastIndex(({ id, text }) => !eosIds.includes(id) && !texts.has(text));
  return all.slice(kept + 1).map(({ id }) => id);
}

/** A row without what was appended; as it is where it does not end so. */
export const withoutAppended = (row: number[], ends: readonly number[]): number[] =>
  ends.length > 0 && ends.every((id, i) => row[row.length - ends.length + i] === id)
    ? row.slice(0, -ends.length)
    : row;

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const isId = (value: unknown): value is number => Number.isSafeInteger(value);
