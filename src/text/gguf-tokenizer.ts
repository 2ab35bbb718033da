// A GGUF carries its vocabulary as metadata. This turns a byte-level BPE one into the files a Hugging Face folder
// would hold, so that there is one way to open a tokenizer and a published folder can carry it along.
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (section on the tokenizer).

import { WhorlError } from '../base/error.ts';

/** How text is cut before merging, by `tokenizer.ggml.pre`; the model's own tokenizer.json, not llama.cpp's regex. */
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
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

interface Cut {
  readonly pre_tokenizer: object;
  /** Llama 3: a piece that is an entry as it stands is taken whole, whatever the merges say. */
  readonly ignore_merges: boolean;
  readonly normalizer: object | null;
}
const cut = (pre_tokenizer: object, ignore_merges = false, normalizer: object | null = null): Cut => ({
  pre_tokenizer,
  ignore_merges,
  normalizer,
});

const CUTS: ReadonlyMap<string, Cut> = new Map([
  ['gpt-2', cut(BYTE_LEVEL)],
  ['smollm', cut(sequence(DIGITS, BYTE_LEVEL))],
  ['starcoder', cut(sequence(DIGITS, BYTE_LEVEL))],
  ['llama-bpe', cut(sequence(split(`${WORDS}|\\p{N}{1,3}|${REST}`), BYTES_ONLY), true)],
  ['qwen2', cut(sequence(split(`${WORDS}|\\p{N}|${REST}`), BYTES_ONLY), false, { type: 'NFC' })],
]);

// tokenizer.ggml.token_type
const CONTROL = 3;
const USER_DEFINED = 4;
const MAX_TOKENS = 2 ** 22;

/**
 * tokenizer.json, tokenizer_config.json, special_tokens_map.json and generation_config.json of a GGUF.
 * `metadata` is the file's key-value part; numbers may be bigint. Errors: unsupported (names the key), bad-file.
 */
export function tokenizerFilesFromGguf(metadata: Readonly<Record<string, unknown>>): Record<string, object> {
  const model = metadata['tokenizer.ggml.model'];
  if (model !== 'gpt2')
    throw new WhorlError(
      'unsupported',
      `tokenizer.ggml.model ${JSON.stringify(model)} is not handled, only byte-level BPE ("gpt2")`,
      'use the Hugging Face folder of this model',
    );
  // Files from before this key existed were all cut GPT-2's way, and often wrongly so: only a named cut is safe.
  const pre = metadata['tokenizer.ggml.pre'];
  const chosen = typeof pre === 'string' ? CUTS.get(pre) : undefined;
  if (chosen === undefined)
    throw new WhorlError(
      'unsupported',
      `tokenizer.ggml.pre ${JSON.stringify(pre)} is not handled, only ${[...CUTS.keys()].join(', ')}`,
      'use the Hugging Face folder of this model',
    );
  const tokens = strings(metadata, 'tokenizer.ggml.tokens');
  if (tokens.length > MAX_TOKENS)
    throw new WhorlError('bad-file', `tokenizer.ggml.tokens has ${tokens.length} entries`);
  const types = tokenTypes(metadata, tokens.length);
  const names = specialNames(metadata, tokens);
  const added = tokens
    .map((content, id) => ({ id, content, special: types[id] === CONTROL }))
    .filter(({ id, special }) => special || types[id] === USER_DEFINED);

  const settings: Record<string, unknown> = {
    ...names,
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
  };
  const template = metadata['tokenizer.chat_template'];
  if (typeof template === 'string') settings.chat_template = template;
  const context = metadata[`${String(metadata['general.architecture'])}.context_length`];
  if (typeof context === 'number' || typeof context === 'bigint') settings.model_max_length = Number(context);

  const generation: Record<string, number> = {};
  for (const name of ['bos', 'eos', 'pad'] as const) {
    const id = metadata[`tokenizer.ggml.${KEY[name]}_token_id`];
    if (id !== undefined) generation[`${name}_token_id`] = Number(id);
  }
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added.map((token) => ({
        ...token,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      })),
      normalizer: chosen.normalizer,
      pre_tokenizer: chosen.pre_tokenizer,
      post_processor: postProcessor(metadata, names.bos_token, tokens),
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: chosen.ignore_merges,
        vocab: vocabulary(tokens),
        merges: merges(metadata),
      },
    },
    'tokenizer_config.json': settings,
    'special_tokens_map.json': names,
    'generation_config.json': { _from_model_config: true, ...generation },
  };
}

const KEY = { bos: 'bos', eos: 'eos', unk: 'unknown', pad: 'padding' } as const;

function strings(metadata: Readonly<Record<string, unknown>>, key: string): readonly string[] {
  const value = metadata[key];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string'))
    throw new WhorlError(
      'bad-file',
      `${key} is ${value === undefined ? 'missing' : 'not a list of strings'}`,
    );
  return value;
}

function tokenTypes(metadata: Readonly<Record<string, unknown>>, count: number): readonly number[] {
  const value = metadata['tokenizer.ggml.token_type'];
  const list =
    Array.isArray(value) || ArrayBuffer.isView(value)
      ? Array.from(value as Iterable<unknown>, Number)
      : undefined;
  if (list?.length !== count)
    throw new WhorlError(
      'bad-file',
      `tokenizer.ggml.token_type has ${list?.length ?? 'no'} entries for ${count} tokens`,
    );
  return list;
}

/** An object with `__proto__` as an ordinary key, which plain assignment would lose. */
function vocabulary(tokens: readonly string[]): Record<string, number> {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(vocab).length !== tokens.length)
    throw new WhorlError('bad-file', 'tokenizer.ggml.tokens holds one entry twice');
  return vocab;
}

/** `a b` → `[a, b]`; the space is the first one after the first character. */
function merges(metadata: Readonly<Record<string, unknown>>): [string, string][] {
  return strings(metadata, 'tokenizer.ggml.merges').map((merge, i) => {
    const space = merge.indexOf(' ', 1);
    if (space < 1 || space === merge.length - 1)
      throw new WhorlError('bad-file', `tokenizer.ggml.merges[${i}] is not two entries with a space between`);
    return [merge.slice(0, space), merge.slice(space + 1)];
  });
}

function specialNames(
  metadata: Readonly<Record<string, unknown>>,
  tokens: readonly string[],
): Record<string, string> {
  const names: Record<string, string> = {};
  for (const [name, key] of Object.entries(KEY)) {
    const id = metadata[`tokenizer.ggml.${key}_token_id`];
    if (id === undefined) continue;
    const token = tokens[Number(id)];
    if (token === undefined)
      throw new WhorlError(
        'bad-file',
        `tokenizer.ggml.${key}_token_id is ${String(id)} of ${tokens.length} tokens`,
      );
    names[`${name}_token`] = token;
  }
  return names;
}

/** BOS in front where the file asks for it; nothing else is ever added. */
function postProcessor(
  metadata: Readonly<Record<string, unknown>>,
  bos: string | undefined,
  tokens: readonly string[],
): object | null {
  // Absent means yes for Llama 3's cut alone (llama.cpp's rule; its older files lack the key).
  const add = metadata['tokenizer.ggml.add_bos_token'] ?? metadata['tokenizer.ggml.pre'] === 'llama-bpe';
  if (add !== true || bos === undefined) return null;
  const start = { SpecialToken: { id: bos, type_id: 0 } };
  const part = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } });
  return {
    type: 'TemplateProcessing',
    single: [start, part('A', 0)],
    pair: [start, part('A', 0), { SpecialToken: { id: bos, type_id: 1 } }, part('B', 1)],
    special_tokens: { [bos]: { id: bos, ids: [tokens.indexOf(bos)], tokens: [bos] } },
  };
}
