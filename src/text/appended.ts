// Some tokenizers put EOS after every text they encode. A text that is continued must not end so: what it is, read from
// the post-processor, and how it is taken off again without touching an EOS that the user wrote.

/** Ids after the text by a post-processor of tokenizer.json, first to last. */
function appended(processor: unknown): number[] {
  const { type, single, special_tokens, processors, sep } = fields(processor);
  if (type === 'Sequence') return list(processors).flatMap(appended);
  if (type === 'BertProcessing' || type === 'RobertaProcessing') return list(sep).filter(isId);
  if (type !== 'TemplateProcessing') return [];
  const parts = list(single);
  const after = parts.slice(parts.findLastIndex((part) => 'Sequence' in fields(part)) + 1);
  return after.flatMap((part) => {
    const { id } = fields(fields(part).SpecialToken);
    return list(fields(fields(special_tokens)[String(id)]).ids).filter(isId);
  });
}

/** The ids at the end of what a post-processor puts after a text that end a generation. */
export function appendedEos(
  processor: unknown,
  { eosId, eosIds }: { readonly eosId: number | undefined; readonly eosIds: readonly number[] },
): readonly number[] {
  const ids = appended(processor);
  const kept = ids.findLastIndex((id) => id !== eosId && !eosIds.includes(id));
  return ids.slice(kept + 1);
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
