// Where tokenizer_config.json's class contradicts tokenizer.json: some classes of transformers 5 build how a text is cut anew,
// and some of version 4 what is put around it. Texts go through tokenizer.json as it stands, and it is said where ids differ.
// https://github.com/huggingface/transformers, src/transformers/models/*/tokenization_*.py

type Json = Readonly<Record<string, unknown>>;

/** How a text is spelt and cut before its tokens are looked up. */
interface Cuts {
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
}

const byteLevel = (add_prefix_space: boolean, use_regex = true) => ({
  ...{ type: 'ByteLevel', add_prefix_space, use_regex },
});
const NFC = { type: 'NFC' };
const sequence = (...pretokenizers: readonly object[]) => ({ type: 'Sequence', pretokenizers });
const QWEN2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const split = (pattern: object, behavior: string) => ({ type: 'Split', pattern, behavior, invert: false });

/** What transformers 5 builds, by the class without `Fast`; @param prefixed `add_prefix_space` of its config */
const BUILT: Readonly<Record<string, (prefixed: unknown, settings: Json) => Cuts>> = {
  GPT2Tokenizer: (prefixed) => ({ normalizer: null, pre_tokenizer: byteLevel(prefixed === true) }),
  CodeGenTokenizer: (prefixed) => ({ normalizer: null, pre_tokenizer: byteLevel(prefixed === true) }),
  GPTNeoXTokenizer: (prefixed) => ({ normalizer: NFC, pre_tokenizer: byteLevel(prefixed === true) }),
  CohereTokenizer: (prefixed) => ({
    normalizer: NFC,
    pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(prefixed === true)),
  }),
  Qwen2Tokenizer: (prefixed) => ({
    normalizer: NFC,
    pre_tokenizer: sequence(split({ Regex: QWEN2 }, 'Isolated'), byteLevel(prefixed === true, false)),
  }),
  GemmaTokenizer: () => ({
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: split({ String: ' ' }, 'MergedWithPrevious'),
  }),
  LlamaTokenizer: (prefixed, { legacy }) => ({
    normalizer: null,
    pre_tokenizer: {
      ...{ type: 'Metaspace', replacement: '▁', split: false },
      prepend_scheme: prefixed === false ? 'never' : legacy === true ? 'always' : 'first',
    },
  }),
};
/** Families for which transformers 5 knows that published folders name a wrong class, and takes the file. */
const BY_FILE: ReadonlySet<unknown> = new Set(['qwen2', 'phi3']);
/** The class under which transformers 5 puts nothing around a text, whatever the files say. */
const BARE = 'GPTNeoXTokenizer';
/** Classes of transformers 4 that put BOS and EOS around a text as the config says; by default BOS or nothing. */
const AROUND: Readonly<Record<string, boolean>> = {
  LlamaTokenizer: true,
  GemmaTokenizer: true,
  CohereTokenizer: true,
  GPTNeoXTokenizer: false,
};

/** Whether tokenizer.json puts BOS before a text, EOS behind it; undefined where that token is not known. */
interface Around {
  readonly bos: boolean | undefined;
  readonly eos: boolean | undefined;
}

/** The class without `Fast`, where it is one of those. */
const classOf = (settings: Json): string =>
  typeof settings.tokenizer_class === 'string' ? settings.tokenizer_class.replace(/Fast$/, '') : '';
const builtBy = (settings: Json): Cuts | undefined =>
  Object.hasOwn(BUILT, classOf(settings))
    ? BUILT[classOf(settings)]!(settings.add_prefix_space, settings)
    : undefined;

/**
 * tokenizer.json as both versions of transformers open it: a pre-tokenizer that is ByteLevel and nothing else takes its
 * `add_prefix_space` from the config, where the class builds one like it; GPT-NeoX's class puts nothing around a text unless
 * the config says so.
 */
export function asBothOpen(json: Json, settings: Json): Json {
  const { add_bos_token: bos, add_eos_token: eos } = settings;
  const bare = classOf(settings) === BARE && bos !== true && eos !== true && isPutting(json.post_processor);
  return withPrefix(bare ? { ...json, post_processor: null } : json, settings);
}

function withPrefix(json: Json, settings: Json): Json {
  const [cutter, built] = [record(json.pre_tokenizer), record(builtBy(settings)?.pre_tokenizer)];
  if (cutter.type !== 'ByteLevel' || built.type !== 'ByteLevel') return json;
  if (cutter.add_prefix_space === built.add_prefix_space) return json;
  return { ...json, pre_tokenizer: { ...cutter, add_prefix_space: built.add_prefix_space } };
}

/** In words, what one version of transformers or the other makes otherwise. @param around ids of an empty text */
export function classNotes(
  json: Json,
  files: Readonly<Record<string, unknown>>,
  { bosId, eosId }: { readonly bosId: number | undefined; readonly eosId: number | undefined },
  around: readonly number[],
): readonly string[] {
  const [settings, config] = [record(files['tokenizer_config.json']), record(files['config.json'])];
  const has = (id: number | undefined) =>
    id === undefined || bosId === eosId ? undefined : around.includes(id);
  return [
    builtOtherwise(json, settings, config.model_type),
    prefixedOtherwise(json, settings),
    putAround(settings, { bos: has(bosId), eos: has(eosId) }),
  ].filter((note) => note !== undefined);
}

function builtOtherwise(json: Json, settings: Json, family: unknown): string | undefined {
  const [name, built] = [classOf(settings), builtBy(settings)];
  // A byte-level file under LLaMA's class is opened as it stands.
  if (!built || BY_FILE.has(family) || (name === 'LlamaTokenizer' && isByteLevel(json.pre_tokenizer)))
    return undefined;
  const other = (['normalizer', 'pre_tokenizer'] as const).filter(
    (part) => plain(json[part] ?? null) !== plain(built[part]),
  );
  if (other.length === 0) return undefined;
  return `tokenizer_config.json says ${name}, for which transformers 5 puts a ${other.join(' and a ')} of its own in place of tokenizer.json's: its ids can differ. Here, in transformers 4 and wherever tokenizer.json is read by itself, the file counts ("tokenizer_class": "PreTrainedTokenizerFast" makes transformers 5 agree)`;
}

/** Version 4 does for every class what `withPrefix` does for some. */
function prefixedOtherwise(json: Json, settings: Json): string | undefined {
  const cutter = record(json.pre_tokenizer);
  const said = settings.add_prefix_space === true;
  if (cutter.type !== 'ByteLevel' || (cutter.add_prefix_space ?? true) === said) return undefined;
  return `tokenizer.json puts ${said ? 'no' : 'a'} space before a text, transformers 4 ${said ? 'one' : 'none'} (add_prefix_space of tokenizer_config.json). Here and in transformers 5 the file counts`;
}

function putAround(settings: Json, around: Around): string | undefined {
  const name = classOf(settings);
  if (!Object.hasOwn(AROUND, name)) return undefined;
  const { add_bos_token: bos, add_eos_token: eos } = settings;
  const said = { bos: typeof bos === 'boolean' ? bos : AROUND[name]!, eos: eos === true };
  const other = (['bos', 'eos'] as const).filter(
    (end) => around[end] !== undefined && around[end] !== said[end],
  );
  if (name === BARE && (around.bos || around.eos))
    return `tokenizer.json puts BOS or EOS around a text, as does ${name} of transformers 4 where its config says so; transformers 5 puts neither`;
  if (other.length === 0) return undefined;
  const words = (which: Around): string =>
    other.map((end) => `${which[end] ? '' : 'no '}${end.toUpperCase()}`).join(' and ');
  return `tokenizer.json puts ${words(around)} around a text, ${name} of transformers 4 ${words(said)} (add_bos_token, add_eos_token of tokenizer_config.json). Here and in transformers 5 the file counts`;
}

const isPutting = (part: unknown): boolean => (part ?? null) !== null;
const isByteLevel = (part: unknown): boolean => JSON.stringify(part ?? null).includes('"ByteLevel"');

/** A component as text, whatever the order of its fields, without those that change no id. */
function plain(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'trim_offsets') return undefined;
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

const record = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
