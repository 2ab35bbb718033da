// T5's `spiece.model` as a tokenizer.json: words cut at white space, each begun by SentencePiece's mark, `</s>` after every
// text, and sentinels `<extra_id_0>` … behind the pieces, counted down. As transformers' T5Tokenizer builds it.

import { WhorlError } from '../base/error.ts';
import { PIECE_TYPE, tokensAround } from './sentencepiece.ts';
import { addedEntries, readModel } from './sentencepiece-model.ts';

/** Classes of transformers that read such a file so; a folder may name none. */
const CLASSES: ReadonlySet<unknown> = new Set(
  ['T5Tokenizer', 'MT5Tokenizer'].flatMap((name) => [name, `${name}Fast`]),
);
const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
const NAMES = new Map([
  ['eos_token', '</s>'],
  ['unk_token', '<unk>'],
  ['pad_token', '<pad>'],
]);
/** Sentinels where tokenizer_config.json does not count them, and the most that any may have. */
const [SENTINELS, MOST_SENTINELS] = [100, 10_000];

/** @param settings the folder's tokenizer_config.json. Errors: bad-file, unsupported */
export function t5TokenizerJson(
  bytes: Uint8Array,
  settings: Readonly<Record<string, unknown>>,
  origin: string,
): { json: object; names: ReadonlyMap<string, string> } {
  const hint =
    'save the tokenizer with transformers (`AutoTokenizer…save_pretrained`), which writes tokenizer.json';
  const type = settings.tokenizer_class ?? null;
  if (type !== null && !CLASSES.has(type))
    throw new WhorlError('unsupported', `${origin} is read by a ${JSON.stringify(type)}`, hint);
  const { pieces, algorithm, charsmap } = readModel(bytes, origin);
  const at = (token: string) => pieces.findIndex(({ text }) => text === token);
  const names = new Map(
    [...NAMES].map(([name, token]) => [
      name,
      typeof settings[name] === 'string' ? (settings[name] as string) : token,
    ]),
  );
  const eos = { id: at(names.get('eos_token')!), text: names.get('eos_token')! };
  const unknown = pieces.findIndex((piece) => piece.type === PIECE_TYPE.unknown);
  if (algorithm !== 1 || unknown < 0 || eos.id < 0)
    throw new WhorlError(
      'unsupported',
      `${origin} is no unigram vocabulary with ${names.get('eos_token')}`,
      hint,
    );
  const count = settings.extra_ids ?? SENTINELS;
  if (!Number.isSafeInteger(count) || (count as number) < 0 || (count as number) > MOST_SENTINELS)
    throw new WhorlError('bad-file', `${origin}: extra_ids is ${JSON.stringify(count)}`, 'fetch it again');
  const own = [...names.values()]
    .map((content) => ({ id: at(content), content }))
    .filter(({ id }) => id >= 0);
  const sentinels = Array.from({ length: count as number }, (_, i) => ({
    id: pieces.length + i,
    content: `<extra_id_${(count as number) - 1 - i}>`,
  })).filter(({ content }) => at(content) < 0);
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added = new Map([...own, ...sentinels].map((token) => [token.content, { ...plain, ...token }]));
  for (const entry of addedEntries(settings.added_tokens_decoder, pieces, origin))
    added.set(entry.content, { ...plain, ...entry });
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...added.values()].sort((a, b) => a.id - b.id),
    normalizer:
      charsmap && charsmap.length > 0
        ? { type: 'Precompiled', precompiled_charsmap: Buffer.from(charsmap).toString('base64') }
        : null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, METASPACE] },
    post_processor: tokensAround(undefined, eos),
    decoder: METASPACE,
    model: {
      type: 'Unigram',
      unk_id: unknown,
      byte_fallback: false,
      vocab: pieces.map(({ text, score }) => [text, score]),
    },
  };
  return { json, names };
}
