// A tokenizer as a GGUF's keys, the way back of `gguf-tokenizer.ts`: byte-level BPE with the name of its cuts, or a
// SentencePiece vocabulary with scores in the order of its merges. What a GGUF cannot say is refused by name.

import { WhorlError } from '../base/error.ts';
import type { GgufEntry } from '../sources/checkpoints/write-gguf.ts';
import { cutName, stepsOf } from './gguf-cuts.ts';
import { endsOf } from './gguf-ends.ts';
import { ggufTemplates } from './gguf-templates.ts';
import { PIECE_TYPE, SPACE } from './sentencepiece.ts';
import { scoresOf } from './sentencepiece-scores.ts';
import type { OpenedTokenizer, Tokenizer } from './tokenizer.ts';

type Json = Readonly<Record<string, unknown>>;
type Entry = readonly [string, GgufEntry];

export interface GgufVocabulary {
  readonly entries: ReadonlyMap<string, GgufEntry>;
  /** What a reader of the file will do otherwise, in words. */
  readonly lost: readonly string[];
}

/** What a tokenizer.json holds, as both kinds below need it. */
interface Parts {
  readonly model: Json;
  readonly json: Json;
  /** By id; what no token has is `[PAD<id>]`, unused. */
  readonly tokens: string[];
  readonly types: number[];
  refuse(what: string): never;
}

/**
 * @param rows of the embedding: so many tokens the file has
 * @throws WhorlError `unsupported` for a tokenizer that GGUF has no word for, `mismatch` for one larger than the embedding
 */
export async function ggufVocabulary(
  { tokenizer, json, origin }: OpenedTokenizer,
  rows: number,
  folder: string,
): Promise<GgufVocabulary> {
  if (tokenizer.vocab_size > rows)
    throw new WhorlError(
      'mismatch',
      `${origin} has ids up to ${tokenizer.vocab_size - 1}, the embedding of ${folder} ${rows} rows`,
      'the tokenizer is of another model',
    );
  const model = json.model as Json;
  const refuse = (what: string): never => {
    throw new WhorlError(
      'unsupported',
      `${origin}: GGUF cannot say ${what}`,
      'llama.cpp would cut texts otherwise',
    );
  };
  const type = model.type ?? 'BPE'; // old files leave it out
  if (type !== 'BPE') refuse(`a ${String(type)} model`);
  for (const field of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[field]) refuse(`model.${field}`);
  const parts: Parts = { model, json, refuse, ...tokensOf(tokenizer, model, rows) };
  const make = tokenizer.spelling === 'byte-level' ? byteLevel : sentencePiece;
  const { entries, lost } = make(parts);
  const ids = named(tokenizer, parts.tokens);
  const around = await tokensAround(tokenizer, refuse);
  const templates = ggufTemplates(tokenizer.chatTemplates);
  return {
    entries: new Map<string, GgufEntry>([
      ...entries,
      ['tokenizer.ggml.tokens', { type: 'strings', value: parts.tokens }],
      ['tokenizer.ggml.token_type', { type: 'int32s', value: parts.types }],
      ...ids.entries,
      ...around,
      ...templates.entries,
    ]),
    lost: [...lost, ...ids.lost, ...flagsOf(json), ...templates.lost],
  };
}

const text = (key: string, value: string): Entry => [`tokenizer.ggml.${key}`, { type: 'string', value }];

function tokensOf(tokenizer: Tokenizer, model: Json, rows: number): Pick<Parts, 'tokens' | 'types'> {
  const unknown = typeof model.unk_token === 'string' ? tokenizer.idOf(model.unk_token) : undefined;
  const tokens = Array.from({ length: rows }, (_, id) => tokenizer.tokenOf(id) ?? `[PAD${id}]`);
  const types = tokens.map((token, id) => {
    if (tokenizer.tokenOf(id) === undefined) return PIECE_TYPE.unused;
    if (tokenizer.spelling !== 'byte-level' && id === unknown) return PIECE_TYPE.unknown;
    if (tokenizer.specialIds.has(id)) return PIECE_TYPE.control;
    if (tokenizer.addedIds.has(id)) return PIECE_TYPE.userDefined;
    const byte = tokenizer.spelling !== 'byte-level' && model.byte_fallback === true && BYTE.test(token);
    return byte ? PIECE_TYPE.byte : PIECE_TYPE.normal;
  });
  return { tokens, types };
}

const BYTE = /^<0x[\dA-F]{2}>$/;

function byteLevel({ json, model, refuse }: Parts): { entries: Entry[]; lost: string[] } {
  const { pre_tokenizer, normalizer } = json;
  if (model.byte_fallback === true) refuse('model.byte_fallback of a byte-level tokenizer');
  const normalisers = stepsOf(normalizer).map(({ type }) => String(type));
  const strange = normalisers.find((type) => type !== 'NFC');
  if (strange !== undefined) refuse(`the normalizer ${strange}`);
  const ignore_merges = model.ignore_merges === true;
  const name = cutName({
    pre_tokenizer: pre_tokenizer as object | null,
    ignore_merges,
    normalizer: (normalizer ?? null) as object | null,
  });
  if (name === undefined)
    return refuse(`how its pre_tokenizer cuts a text${ignore_merges ? ' with model.ignore_merges' : ''}`);
  const merges = (model.merges as readonly (string | readonly [string, string])[]).map((merge) =>
    typeof merge === 'string' ? merge : merge.join(' '),
  );
  return {
    entries: [
      text('model', 'gpt2'),
      text('pre', name),
      ['tokenizer.ggml.merges', { type: 'strings', value: merges }],
    ],
    lost: normalisers.length > 0 ? ['the normalizer NFC: llama.cpp takes texts as they are'] : [],
  };
}

function sentencePiece({ json, model, tokens, types, refuse }: Parts): { entries: Entry[]; lost: string[] } {
  const prefix = spaceBefore(json, refuse);
  const bytes = types.filter((type) => type === PIECE_TYPE.byte).length;
  if (bytes !== 256) refuse(`a vocabulary without the 256 bytes (model.byte_fallback), it has ${bytes}`);
  if (model.ignore_merges === true) refuse('model.ignore_merges of a SentencePiece vocabulary');
  const scores = scoresOf(tokens, types, model.merges as readonly (string | readonly string[])[], refuse);
  // Where no space is put in front, a user-defined piece is looked for in the text as it is.
  if (prefix === 'never')
    types.forEach((type, id) => {
      if (type === PIECE_TYPE.userDefined) tokens[id] = tokens[id]!.replaceAll(SPACE, ' ');
    });
  return {
    entries: [
      text('model', 'llama'),
      text('pre', 'default'),
      ['tokenizer.ggml.scores', { type: 'float32s', value: scores }],
      ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: prefix !== 'never' }],
    ],
    lost:
      prefix === 'first'
        ? [
            'where no second space is put in front: llama.cpp puts one before every text and behind every special token',
          ]
        : [],
  };
}

/**
 * Where a space is put in front of a text, by normaliser and pre-tokenizer; all else that they do is refused. `first`: only
 * where none stands there already, and perhaps not behind special tokens.
 */
function spaceBefore(
  { normalizer, pre_tokenizer }: Json,
  refuse: Parts['refuse'],
): 'always' | 'first' | 'never' {
  let prefix: 'always' | 'first' | 'never' = 'never';
  let replaced = false;
  for (const step of stepsOf(normalizer)) {
    if (step.type === 'Prepend' && step.prepend === SPACE) prefix = 'always';
    else if (step.type === 'Replace' && isSpace(step.pattern) && step.content === SPACE) replaced = true;
    else refuse(`the normalizer ${String(step.type)}`);
  }
  for (const step of stepsOf(pre_tokenizer)) {
    if (step.type === 'Metaspace' && step.split === false && (step.replacement ?? SPACE) === SPACE) {
      replaced = true;
      const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always');
      if (scheme !== 'never') prefix = 'first';
    } else if (!(step.type === 'Split' && replaced && isSpace(step.pattern)))
      refuse(`the pre_tokenizer ${String(step.type)}`);
  }
  if (!replaced) refuse('a tokenizer that is neither byte-level nor writes spaces as ▁');
  return prefix;
}

const isSpace = (pattern: unknown): boolean => (pattern as { String?: unknown } | undefined)?.String === ' ';

/** Whether BOS and EOS are put around a text, by what the tokenizer does. */
async function tokensAround(tokenizer: Tokenizer, refuse: Parts['refuse']): Promise<Entry[]> {
  const text = await someText(tokenizer);
  const inner = await tokenizer.encode(text, { addSpecialTokens: false });
  const whole = await tokenizer.encode(text);
  const at = whole.findIndex((_, i) => inner.every((id, j) => whole[i + j] === id));
  const [before, after] = [whole.slice(0, at), whole.slice(at + inner.length)];
  const flag = (key: string, ids: readonly number[], token: number | undefined): Entry => {
    if (at < 0 || ids.length > 1 || (ids.length === 1 && ids[0] !== token))
      refuse(`that [${before}] and [${after}] are put around a text (post_processor)`);
    return [`tokenizer.ggml.${key}`, { type: 'bool', value: ids.length > 0 }];
  };
  return [flag('add_bos_token', before, tokenizer.bosId), flag('add_eos_token', after, tokenizer.eosId)];
}

/** A text of which the tokenizer makes something: a letter, or where it knows none, what one of its own tokens says. */
async function someText(tokenizer: Tokenizer): Promise<string> {
  const ids = Array.from({ length: Math.min(PROBES, tokenizer.vocab_size) }, (_, id) => [id]);
  const texts = ['a', ...(await tokenizer.decodeBatch(ids))];
  const rows = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  return texts.find((_, i) => rows[i]!.length > 0) ?? '';
}
const PROBES = 512;

/**
 * Ids of tokens with a name; further ends of a text under the keys that llama.cpp has for them. It has two, and takes some
 * tokens for ends by how they are spelt.
 */
function named(
  tokenizer: Tokenizer,
  tokens: readonly string[],
): { readonly entries: Entry[]; readonly lost: string[] } {
  const { unk_token } = tokenizer.specialTokens;
  const ids: Record<string, number | undefined> = {
    bos: tokenizer.bosId,
    eos: tokenizer.eosId,
    unknown: unk_token === undefined ? undefined : tokenizer.idOf(unk_token),
    padding: tokenizer.padId,
  };
  const key = (name: string) => `tokenizer.ggml.${name}_token_id`;
  const known = () =>
    endsOf(Object.fromEntries(Object.entries(ids).map(([name, id]) => [key(name), id])), tokens).ids;
  for (const name of ['eot', 'eom']) ids[name] = tokenizer.eosIds.find((id) => !known().includes(id));
  const [wanted, got] = [tokenizer.eosIds, known()];
  const said = (of: readonly number[], without: readonly number[], verb: string): string[] =>
    of.filter((id) => !without.includes(id)).map((id) => `that ${JSON.stringify(tokens[id])} ${verb}`);
  return {
    entries: Object.entries(ids).flatMap(([name, id]): Entry[] =>
      id === undefined ? [] : [[key(name), { type: 'uint32', value: id }]],
    ),
    lost: [...said(wanted, got, 'ends a text'), ...said(got, wanted, 'ends no text')],
  };
}

/** Added tokens that take spaces or whole words: a GGUF has no place for such flags. */
function flagsOf({ added_tokens = [] }: Json): string[] {
  const found = (added_tokens as readonly Json[]).filter(
    ({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word,
  );
  if (found.length === 0) return [];
  const names = found.slice(0, 3).map(({ content }) => JSON.stringify(content));
  return [
    `lstrip, rstrip and single_word of ${names.join(', ')}${found.length > 3 ? ` and ${found.length - 3} more` : ''}`,
  ];
}
