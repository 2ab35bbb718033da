// Reads a SentencePiece `tokenizer.model` (a protobuf nobody vouches for) and makes a tokenizer.json of it, for folders
// that have no other. Format: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto

import { WhorlError } from '../base/error.ts';
import {
  type AddedEntry,
  PIECE_TYPE,
  type Piece,
  type SentencePieceVocabulary,
  sentencePieceTokenizer,
} from './sentencepiece.ts';

/** `TrainerSpec.model_type` */
const ALGORITHMS: ReadonlyMap<number, SentencePieceVocabulary['algorithm']> = new Map([
  [1, 'unigram'],
  [2, 'bpe'],
]);
const MAX_PIECES = 2 ** 22;
const TYPES: ReadonlySet<number> = new Set(Object.values(PIECE_TYPE));

interface Model {
  readonly pieces: Piece[];
  algorithm: number;
  byteFallback: boolean;
  whitespaceAsSuffix: boolean;
  charsmap: Uint8Array | undefined;
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
  /** Ids and texts of SentencePiece's own tokens, by what transformers calls them. */
  names: Map<string, { id: number; text: string }>;
}

/** `TrainerSpec`: the fields of id and text of each token, and what they are when absent. */
const OWN_TOKENS = [
  { name: 'unk_token', id: 40, text: 45, absent: { id: 0, text: '<unk>' } },
  { name: 'bos_token', id: 41, text: 46, absent: { id: 1, text: '<s>' } },
  { name: 'eos_token', id: 42, text: 47, absent: { id: 2, text: '</s>' } },
] as const;

/**
 * The tokenizer.json of a tokenizer.model, without what is put around a text, and the names of its own tokens. `settings`
 * is the folder's tokenizer_config.json, whose `legacy` and `added_tokens_decoder` count. Errors: bad-file, unsupported.
 */
export function tokenizerJsonFromModel(
  bytes: Uint8Array,
  settings: Readonly<Record<string, unknown>>,
  origin: string,
): { json: object; names: ReadonlyMap<string, string> } {
  const model = readModel(bytes, origin);
  const unsupported = (what: string): never => {
    throw new WhorlError(
      'unsupported',
      `${origin}: ${what}`,
      'save the tokenizer with transformers (`AutoTokenizer…save_pretrained`), which writes tokenizer.json',
    );
  };
  const algorithm = ALGORITHMS.get(model.algorithm);
  if (algorithm === undefined) return unsupported(`model_type ${model.algorithm} is neither unigram nor BPE`);
  if (model.whitespaceAsSuffix) return unsupported('treat_whitespace_as_suffix is not handled');
  if (!model.escapeWhitespaces) return unsupported('escape_whitespaces = false is not handled');
  const { pieces } = model;
  const json = sentencePieceTokenizer(
    {
      pieces,
      algorithm,
      byteFallback: model.byteFallback,
      charsmap:
        model.charsmap === undefined || model.charsmap.length === 0
          ? undefined
          : Buffer.from(model.charsmap).toString('base64'),
      removeExtraWhitespaces: model.removeExtraWhitespaces,
      prefix: !model.addDummyPrefix ? 'never' : settings.legacy === false ? 'first' : 'always',
      userDefined: 'isolated',
      added: addedEntries(settings.added_tokens_decoder, pieces, origin),
    },
    origin,
  );
  const own = [...model.names].filter(([, { id, text }]) => pieces[id]?.text === text);
  return { json, names: new Map(own.map(([name, { text }]) => [name, text])) };
}

/** tokenizer_config.json's `added_tokens_decoder`: id → token with its flags. */
export function addedEntries(value: unknown, pieces: readonly Piece[], origin: string): AddedEntry[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).map(([key, entry]: [string, unknown]) => {
    const id = Number(key);
    const token = entry as Partial<AddedEntry> | null;
    if (!Number.isSafeInteger(id) || id < 0 || typeof token?.content !== 'string')
      throw new WhorlError('bad-file', `${origin}: added_tokens_decoder has a malformed entry ${key}`);
    const piece = pieces[id];
    if (piece !== undefined && piece.text !== token.content)
      throw new WhorlError(
        'unsupported',
        `${origin}: added_tokens_decoder calls piece ${id} ${JSON.stringify(token.content)}`,
        'save the tokenizer with transformers, which writes tokenizer.json',
      );
    const flag = (name: 'single_word' | 'lstrip' | 'rstrip' | 'normalized' | 'special') =>
      token[name] === true;
    return {
      id,
      content: token.content,
      special: flag('special'),
      single_word: flag('single_word'),
      lstrip: flag('lstrip'),
      rstrip: flag('rstrip'),
      normalized: flag('normalized'),
    };
  });
}

/** The parts of a SentencePiece model that make a tokenizer. Errors: bad-file. */
export function readModel(bytes: Uint8Array, origin: string): Model {
  const model: Model = {
    pieces: [],
    algorithm: 1,
    byteFallback: false,
    whitespaceAsSuffix: false,
    charsmap: undefined,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
    names: new Map(OWN_TOKENS.map(({ name, absent }) => [name, { ...absent }])),
  };
  for (const field of fields(bytes, origin)) {
    if (field.number === 1) {
      if (model.pieces.length === MAX_PIECES)
        throw new WhorlError('bad-file', `${origin} has more than ${MAX_PIECES} pieces`);
      model.pieces.push(readPiece(field.bytes, model.pieces.length, origin));
    } else if (field.number === 2) {
      for (const { number, value, bytes: content } of fields(field.bytes, origin)) {
        if (number === 3) model.algorithm = value;
        else if (number === 24) model.whitespaceAsSuffix = value !== 0;
        else if (number === 35) model.byteFallback = value !== 0;
        for (const own of OWN_TOKENS) {
          if (number === own.id)
            model.names.get(own.name)!.id = value; // -1, ten bytes long, is no piece's
          else if (number === own.text) model.names.get(own.name)!.text = utf8(content, own.id, origin);
        }
      }
    } else if (field.number === 3) {
      for (const { number, value, bytes: content } of fields(field.bytes, origin)) {
        if (number === 2) model.charsmap = content;
        else if (number === 3) model.addDummyPrefix = value !== 0;
        else if (number === 4) model.removeExtraWhitespaces = value !== 0;
        else if (number === 5) model.escapeWhitespaces = value !== 0;
      }
    }
  }
  if (model.pieces.length === 0)
    throw new WhorlError('bad-file', `${origin} holds no SentencePiece vocabulary`);
  return model;
}

function readPiece(bytes: Uint8Array, id: number, origin: string): Piece {
  let text: string | undefined;
  let [score, type] = [0, 1];
  for (const field of fields(bytes, origin)) {
    if (field.number === 1) text = utf8(field.bytes, id, origin);
    else if (field.number === 2 && field.bytes.length === 4)
      score = new DataView(field.bytes.buffer, field.bytes.byteOffset, 4).getFloat32(0, true);
    else if (field.number === 3) type = field.value;
  }
  if (text === undefined || !TYPES.has(type) || !Number.isFinite(score))
    throw new WhorlError('bad-file', `${origin}: piece ${id} is malformed`);
  return { text, score, type };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function utf8(bytes: Uint8Array, id: number, origin: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new WhorlError('bad-file', `${origin}: piece ${id} is not UTF-8`, undefined, { cause });
  }
}

const NOTHING = new Uint8Array(0);

/** The fields of one protobuf message: `value` of a varint, `bytes` of everything else. */
function* fields(
  message: Uint8Array,
  origin: string,
): Generator<{ number: number; value: number; bytes: Uint8Array }> {
  const broken = (what: string) =>
    new WhorlError('bad-file', `${origin} is not a SentencePiece model (${what})`, 'fetch it again');
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1, length = 0; length < 10; shift *= 128, length++) {
      const byte = message[at++];
      if (byte === undefined) throw broken('truncated');
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    throw broken('a number of more than ten bytes');
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (number === 0) throw broken('field 0');
    if (kind === 0) {
      yield { number, value: varint(), bytes: NOTHING };
      continue;
    }
    const length = kind === 2 ? varint() : kind === 5 ? 4 : kind === 1 ? 8 : undefined;
    if (length === undefined) throw broken(`wire type ${kind}`);
    if (length > message.length - at) throw broken('truncated');
    yield { number, value: 0, bytes: message.subarray(at, at + length) };
    at += length;
  }
}
