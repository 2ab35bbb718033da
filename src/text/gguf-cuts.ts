// Ways of cutting a text before byte pairs are merged, by what llama.cpp calls them (`tokenizer.ggml.pre`): read by name,
// found by what a tokenizer.json does.

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const BYTES_ONLY = { ...BYTE_LEVEL, use_regex: false };
const DIGITS = { type: 'Digits', individual_digits: true };
const split = (pattern: string) => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });
const WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const BEFORE = '[^\\r\\n\\p{L}\\p{N}]?';
const CASED = (endings: string): string =>
  `${BEFORE}${UPPER}*${LOWER}+${endings}|${BEFORE}${UPPER}+${LOWER}*${endings}`;
const SLASHED = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const NFC = { type: 'NFC' };
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

export interface Cut {
  readonly pre_tokenizer: object | null;
  /** Llama 3: a piece that is an entry as it stands is taken whole, whatever the merges say. */
  readonly ignore_merges: boolean;
  readonly normalizer: object | null;
}
const cut = (pre_tokenizer: object, ignore_merges = false, normalizer: object | null = null): Cut => ({
  pre_tokenizer,
  ignore_merges,
  normalizer,
});

/** llama.cpp knows Llama 3's way of cutting under each of these. */
export const LLAMA3_NAMES: readonly string[] = ['llama-bpe', 'llama3', 'llama-v3'];

/** How text is cut before merging, by `tokenizer.ggml.pre`; the model's own tokenizer.json, not llama.cpp's regex. */
export const CUTS: ReadonlyMap<string, Cut> = new Map([
  ['gpt-2', cut(BYTE_LEVEL)],
  ['olmo', cut(BYTE_LEVEL, false, NFC)],
  ['smollm', cut(sequence(DIGITS, BYTE_LEVEL))],
  ['starcoder', cut(sequence(DIGITS, BYTE_LEVEL))],
  ['command-r', cut(sequence(DIGITS, BYTE_LEVEL), false, NFC)],
  ...LLAMA3_NAMES.map((name): [string, Cut] => [
    name,
    cut(sequence(split(`${WORDS}|\\p{N}{1,3}|${REST}`), BYTES_ONLY), true),
  ]),
  ['qwen2', cut(sequence(split(`${WORDS}|\\p{N}|${REST}`), BYTES_ONLY), false, NFC)],
  ['dbrx', cut(sequence(split(`${WORDS}|\\p{N}{1,3}|${REST}`), BYTES_ONLY))],
  ['tekken', cut(sequence(split(`${CASED('')}|\\p{N}|${SLASHED}`), BYTES_ONLY), true)],
  ['gpt-4o', cut(sequence(split(`${CASED(ENDINGS)}|\\p{N}{1,3}|${SLASHED}`), BYTES_ONLY))],
]);

/** The steps of a component as far as they matter, whatever a version of the library writes beside them. */
export function stepsOf(component: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (typeof component !== 'object' || component === null) return [];
  const { type, ...fields } = component as Readonly<Record<string, unknown>>;
  if (type === 'Sequence') return [fields.pretokenizers ?? fields.normalizers ?? []].flat().flatMap(stepsOf);
  const { trim_offsets: _, ...rest } = { ...DEFAULTS[String(type)], ...fields }; // offsets are not ours to ask for
  // Patterns that match every character leave nothing between them that could be removed.
  const isolated =
    rest.behavior === 'Removed' && rest.invert === true ? { behavior: 'Isolated', invert: false } : {};
  const sorted = Object.entries({ ...rest, ...isolated }).sort(([a], [b]) => (a < b ? -1 : 1));
  return [{ type, ...Object.fromEntries(sorted) }];
}
const DEFAULTS: Readonly<Record<string, object>> = {
  ByteLevel: { use_regex: true },
  Split: { invert: false },
};

const sameComponent = (a: unknown, b: unknown): boolean =>
  JSON.stringify(stepsOf(a)) === JSON.stringify(stepsOf(b));

/**
 * The name under which llama.cpp cuts and merges so; undefined where it has none. Of several the one that we read with the
 * same normaliser; llama.cpp itself normalises nothing.
 */
export function cutName({ pre_tokenizer, ignore_merges, normalizer }: Cut): string | undefined {
  const fitting = [...CUTS].filter(
    ([, cut]) => cut.ignore_merges === ignore_merges && sameComponent(cut.pre_tokenizer, pre_tokenizer),
  );
  const [name] = fitting.find(([, cut]) => sameComponent(cut.normalizer, normalizer)) ?? fitting[0] ?? [];
  return name;
}
