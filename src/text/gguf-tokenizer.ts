// A GGUF carries its vocabulary as metadata. This turns it into the files a Hugging Face folder would hold, so that
// there is one way to open a tokenizer and a published folder can carry it along.
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (section on the tokenizer).

import { WhorlError } from '../base/error.ts';
import { nearestNames } from '../base/near-name.ts';
import { CUTS, LLAMA3_NAMES } from './gguf-cuts.ts';
import { endsOf } from './gguf-ends.ts';
import { templatesOfGguf } from './gguf-templates.ts';
import { PIECE_TYPE, sentencePieceTokenizer, tokensAround } from './sentencepiece.ts';

const MAX_TOKENS = 2 ** 22;

interface Vocabulary {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  /** Entries of `special_tokens_map.json`. */
  readonly names: Readonly<Record<string, string>>;
}

/** By `tokenizer.ggml.model`: what makes the tokenizer.json. */
const KINDS: ReadonlyMap<string, (vocabulary: Vocabulary) => object> = new Map([
  ['gpt2', byteLevelBpe],
  ['llama', sentencePieceBpe],
]);

/**
 * tokenizer.json, tokenizer_config.json, special_tokens_map.json and generation_config.json of a GGUF.
 * `metadata` is the file's key-value part; numbers may be bigint. Errors: unsupported (names the key), bad-file.
 */
export function tokenizerFilesFromGguf(metadata: Readonly<Record<string, unknown>>): Record<string, object> {
  const model = metadata['tokenizer.ggml.model'];
  const kind = typeof model === 'string' ? KINDS.get(model) : undefined;
  if (kind === undefined)
    throw new WhorlError(
      'unsupported',
      `tokenizer.ggml.model ${JSON.stringify(model)} is not handled, only "gpt2" (byte-level BPE) and "llama" (SentencePiece BPE)`,
      'use the Hugging Face folder of this model',
    );
  const tokens = strings(metadata, 'tokenizer.ggml.tokens');
  if (tokens.length > MAX_TOKENS)
    throw new WhorlError('bad-file', `tokenizer.ggml.tokens has ${tokens.length} entries`);
  const ends = endsOf(metadata, tokens);
  const types = numbers(metadata, 'tokenizer.ggml.token_type', tokens.length).map((type, id) =>
    ends.named.has(id) ? PIECE_TYPE.control : type,
  );
  const names = specialNames(metadata, tokens);
  const tokenizer = kind({ metadata, tokens, types, names });

  const settings: Record<string, unknown> = {
    ...names,
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
  };
  const template = templatesOfGguf(metadata);
  if (template !== undefined) settings.chat_template = template;
  const context = metadata[`${String(metadata['general.architecture'])}.context_length`];
  if (typeof context === 'number' || typeof context === 'bigint') settings.model_max_length = Number(context);

  const generation: Record<string, number | readonly number[]> = {};
  for (const name of ['bos', 'pad'] as const) {
    const id = metadata[`tokenizer.ggml.${KEY[name]}_token_id`];
    if (id !== undefined) generation[`${name}_token_id`] = Number(id);
  }
  if (ends.ids.length > 0) generation.eos_token_id = ends.ids.length > 1 ? ends.ids : ends.ids[0]!;
  return {
    'tokenizer.json': tokenizer,
    'tokenizer_config.json': settings,
    'special_tokens_map.json': names,
    'generation_config.json': generation,
  };
}

function byteLevelBpe({ metadata, tokens, types, names }: Vocabulary): object {
  // Files from before this key existed were all cut GPT-2's way, and often wrongly so: only a named cut is safe.
  const pre = metadata['tokenizer.ggml.pre'];
  const chosen = typeof pre === 'string' ? CUTS.get(pre) : undefined;
  if (chosen === undefined) {
    const near = typeof pre === 'string' ? nearestNames(pre, CUTS.keys()) : [];
    throw new WhorlError(
      'unsupported',
      `tokenizer.ggml.pre ${JSON.stringify(pre)} is not handled${near.length === 0 ? '' : ` (nearest: ${near.join(', ')})`}`,
      'use the Hugging Face folder of this model',
    );
  }
  const added = tokens
    .map((content, id) => ({ id, content, special: types[id] === PIECE_TYPE.control }))
    .filter(({ id, special }) => special || types[id] === PIECE_TYPE.userDefined);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map((token) => ({ ...token, ...flags })),
    normalizer: chosen.normalizer,
    pre_tokenizer: chosen.pre_tokenizer,
    // Absent means yes for Llama 3's cut alone (llama.cpp's rule; its older files lack the key).
    post_processor: wrapped(metadata, names, tokens, LLAMA3_NAMES.includes(String(pre))),
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
  };
}

/** llama.cpp's `SPM`: SentencePiece's merging by score, bytes for what is unknown, a space in front of each stretch. */
function sentencePieceBpe({ metadata, tokens, types, names }: Vocabulary): object {
  const scores = numbers(metadata, 'tokenizer.ggml.scores', tokens.length);
  const flag = (key: string, absent: boolean) => (metadata[`tokenizer.ggml.${key}`] ?? absent) === true;
  const prefixed = flag('add_space_prefix', true);
  // Without a space in front it is one text to SentencePiece, in which a bar and a space are the same; llama.cpp's
  // converter writes user-defined bars as spaces.
  const spelled = (text: string, type: number): string =>
    type === PIECE_TYPE.userDefined && !prefixed ? text.replaceAll(' ', '▁') : text;
  const made = sentencePieceTokenizer(
    {
      pieces: tokens.map((text, id) => ({
        text: spelled(text, types[id]!),
        score: scores[id]!,
        type: types[id]!,
      })),
      algorithm: 'bpe',
      byteFallback: types.includes(PIECE_TYPE.byte),
      removeExtraWhitespaces: flag('remove_extra_whitespaces', false),
      prefix: prefixed ? 'always' : 'never',
      userDefined: prefixed ? 'added' : 'isolated',
    },
    'tokenizer.ggml.tokens',
  );
  return { ...made, post_processor: wrapped(metadata, names, tokens, true) };
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

function numbers(metadata: Readonly<Record<string, unknown>>, key: string, count: number): readonly number[] {
  const value = metadata[key];
  const list =
    Array.isArray(value) || ArrayBuffer.isView(value)
      ? Array.from(value as Iterable<unknown>, Number)
      : undefined;
  if (list?.length !== count)
    throw new WhorlError('bad-file', `${key} has ${list?.length ?? 'no'} entries for ${count} tokens`);
  const wrong = list.findIndex((entry) => !Number.isFinite(entry));
  if (wrong >= 0) throw new WhorlError('bad-file', `${key}[${wrong}] is not a number`);
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

/** BOS and EOS where the file asks for them; nothing else is ever added. */
function wrapped(
  metadata: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
  tokens: readonly string[],
  bosUnlessSaid: boolean,
): object | null {
  const named = (key: 'bos' | 'eos', absent: boolean) => {
    const text = names[`${key}_token`];
    const asked = (metadata[`tokenizer.ggml.add_${key}_token`] ?? absent) === true;
    return asked && text !== undefined ? { id: tokens.indexOf(text), text } : undefined;
  };
  return tokensAround(named('bos', bosUnlessSaid), named('eos', false));
}
