// A SentencePiece vocabulary (scores instead of merges) as a tokenizer.json that gives the same ids. Both carriers of
// such vocabularies come here: GGUF (gguf-sentencepiece.ts) and tokenizer.model (sentencepiece-model.ts).
// Algorithm: https://github.com/google/sentencepiece, src/bpe_model.cc and src/normalizer.cc.

import { WhorlError } from '../base/error.ts';

export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

/** `SentencePiece.Type`; `tokenizer.ggml.token_type` counts the same way. */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface SentencePieceVocabulary {
  /** In the order of their ids. */
  readonly pieces: readonly Piece[];
  readonly algorithm: 'bpe' | 'unigram';
  readonly byteFallback: boolean;
  /** The compiled normalisation rules in base64; undefined means text stays as it is. */
  readonly charsmap?: string | undefined;
  readonly removeExtraWhitespaces: boolean;
  /** Where a space is put in front: of every stretch between added tokens, of the text's first one, or nowhere. */
  readonly prefix: 'always' | 'first' | 'never';
  /** Whether user-defined pieces are cut out of the raw text like special ones, or of the normalised text. */
  readonly userDefined: 'added' | 'isolated';
  /** Added beyond the pieces: `id` continues them. */
  readonly added?: readonly AddedEntry[];
}

export interface AddedEntry {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

export const SPACE = '▁';

/** Errors: bad-file, unsupported; `origin` names the file. */
export function sentencePieceTokenizer(vocabulary: SentencePieceVocabulary, origin: string): object {
  const { pieces, byteFallback, prefix } = vocabulary;
  const isolated = vocabulary.userDefined === 'isolated' ? userDefined(pieces) : [];
  const steps: object[] = [];
  if (vocabulary.charsmap !== undefined)
    steps.push({ type: 'Precompiled', precompiled_charsmap: vocabulary.charsmap });
  if (vocabulary.removeExtraWhitespaces)
    steps.push(replace({ Regex: '\\A +| +\\z' }, ''), replace({ Regex: ' {2,}' }, ' '));
  if (prefix === 'always') steps.push({ type: 'Prepend', prepend: SPACE });
  if (prefix !== 'first') steps.push(replace({ String: ' ' }, SPACE));
  const cuts: object[] = [];
  if (prefix === 'first')
    cuts.push({ type: 'Metaspace', replacement: SPACE, prepend_scheme: 'first', split: false });
  if (isolated.length > 0)
    cuts.push({
      type: 'Split',
      pattern: { Regex: isolated.map(escaped).join('|') },
      behavior: 'Isolated',
      invert: false,
    });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    normalizer: steps.length === 0 ? null : { type: 'Sequence', normalizers: steps },
    pre_tokenizer: cuts.length === 0 ? null : { type: 'Sequence', pretokenizers: cuts },
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        replace({ String: SPACE }, ' '),
        ...(byteFallback ? [{ type: 'ByteFallback' }] : []),
        { type: 'Fuse' },
        ...(prefix === 'never' ? [] : [{ type: 'Strip', content: ' ', start: 1, stop: 0 }]),
      ],
    },
    model: MODELS[vocabulary.algorithm](vocabulary, isolated.length > 0, origin),
  };
}

const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|#&~\-\s]/gu, '\\$&');

/** Longest first, as SentencePiece matches them. */
const userDefined = (pieces: readonly Piece[]): string[] =>
  pieces
    .filter(({ type }) => type === PIECE_TYPE.userDefined)
    .map(({ text }) => text)
    .sort((a, b) => [...b].length - [...a].length);

const MODELS: Record<
  SentencePieceVocabulary['algorithm'],
  (vocabulary: SentencePieceVocabulary, isolated: boolean, origin: string) => object
> = {
  bpe: ({ pieces, byteFallback }, isolated, origin) => {
    const vocab = Object.fromEntries(pieces.map(({ text }, id) => [text, id]));
    if (Object.keys(vocab).length !== pieces.length)
      throw new WhorlError('bad-file', `${origin}: the vocabulary holds one entry twice`);
    return {
      type: 'BPE',
      dropout: null,
      unk_token: pieces.find(({ type }) => type === PIECE_TYPE.unknown)?.text ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: byteFallback,
      ignore_merges: isolated, // a user-defined piece that was cut out is taken whole
      vocab,
      merges: merges(pieces, origin),
    };
  },
  unigram: ({ pieces, byteFallback }, _isolated, origin) => {
    const unknown = pieces.findIndex(({ type }) => type === PIECE_TYPE.unknown);
    if (unknown < 0) throw new WhorlError('bad-file', `${origin}: the vocabulary has no unknown token`);
    return {
      type: 'Unigram',
      unk_id: unknown,
      byte_fallback: byteFallback,
      vocab: pieces.map(({ text, score }) => [text, score]),
    };
  },
};

/** Steps of cutting a piece in two, over all pieces: Gemma's 256,000 pieces take 10 million. Hostile ones are long. */
const MAX_WORK = 2 ** 28;

/**
 * SentencePiece merges the neighbours whose union scores best, whatever the halves; a list of merges in the order of
 * their unions' scores does the same as long as scores differ.
 */
function merges(pieces: readonly Piece[], origin: string): [string, string][] {
  const whole = new Set<string>();
  for (const { text, type } of pieces) if (type === PIECE_TYPE.normal) whole.add(text);
  const ranked = pieces
    .map((piece, id) => ({ ...piece, id }))
    .filter(({ type, text }) => type === PIECE_TYPE.normal && [...text.slice(0, 3)].length > 1)
    .sort((a, b) => b.score - a.score || a.id - b.id);
  const scores = new Set(ranked.map(({ score }) => score));
  if (scores.size < ranked.length / 2)
    throw new WhorlError(
      'unsupported',
      `${origin}: ${ranked.length} pieces share ${scores.size} scores, which do not say what is merged first`,
      'use the Hugging Face folder of this model',
    );
  const list: [string, string][] = [];
  let work = 0;
  for (const { text } of ranked) {
    work += text.length * text.length;
    if (work > MAX_WORK)
      throw new WhorlError('bad-file', `${origin}: its pieces are too long to be a vocabulary`);
    for (let at = 1; at < text.length; at++) {
      if (isLowSurrogate(text.charCodeAt(at))) continue;
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (whole.has(left) && whole.has(right)) list.push([left, right]);
    }
  }
  return list;
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

function addedTokens({ pieces, userDefined, added = [] }: SentencePieceVocabulary): object[] {
  const special = new Set<number>([PIECE_TYPE.unknown, PIECE_TYPE.control]);
  const own = pieces
    .map(({ text, type }, id): AddedEntry & { type: number } => ({
      id,
      content: text,
      special: special.has(type),
      type,
    }))
    .filter(
      ({ content, type }) =>
        content !== '' && (special.has(type) || (type === PIECE_TYPE.userDefined && userDefined === 'added')),
    );
  const entries = new Map<string, AddedEntry>(own.map((entry) => [entry.content, entry]));
  for (const entry of added) entries.set(entry.content, entry);
  return [...entries.values()]
    .sort((a, b) => a.id - b.id)
    .map((entry) => ({
      id: entry.id,
      content: entry.content,
      single_word: entry.single_word ?? false,
      lstrip: entry.lstrip ?? false,
      rstrip: entry.rstrip ?? false,
      normalized: entry.normalized ?? false,
      special: entry.special,
    }));
}

export interface Named {
  readonly id: number;
  readonly text: string;
}

/** What is put around a text and around each of a pair; null where nothing is. */
export function tokensAround(bos: Named | undefined, eos: Named | undefined): object | null {
  if (bos === undefined && eos === undefined) return null;
  const one = (id: 'A' | 'B', type_id: number) => [
    ...(bos ? [{ SpecialToken: { id: bos.text, type_id } }] : []),
    { Sequence: { id, type_id } },
    ...(eos ? [{ SpecialToken: { id: eos.text, type_id } }] : []),
  ];
  const named = [bos, eos].filter((token) => token !== undefined);
  return {
    type: 'TemplateProcessing',
    single: one('A', 0),
    pair: [...one('A', 0), ...one('B', 1)],
    special_tokens: Object.fromEntries(
      named.map(({ id, text }) => [text, { id: text, ids: [id], tokens: [text] }]),
    ),
  };
}
