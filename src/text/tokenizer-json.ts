// Checks a foreign tokenizer.json before any native code sees it: vocabulary, added tokens, regular expressions.
// It cannot prove a pattern harmless, only refuse the plainly harmful ones.

import { WhorlError } from '../base/error.ts';
import { charsmapFault } from './charsmap-check.ts';
import { explosiveRepeat } from './regex-check.ts';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export interface TokenizerJson {
  /** How many entries the model's own vocabulary has; an entry that comes twice counts twice. */
  readonly entries: number;
  /** The model's own entries. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** With the file's added tokens, under the ids that the file gives them. */
  readonly idByToken: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  readonly spelling: 'byte-level' | 'other';
}

const MAX_ID = 2 ** 22; // 4 million rows; the largest published vocabulary has 0.26 million
const MAX_PATTERN = 4096;
const MAX_DEPTH = 32;
const MODELS = new Set(['BPE', 'WordPiece', 'WordLevel', 'Unigram']);

/** Errors: bad-file, unsupported, each naming the field. `origin` is the file's name. */
export function checkTokenizerJson(json: unknown, origin: string): TokenizerJson {
  const fail = (what: string): never => {
    throw new WhorlError('bad-file', `${origin}: ${what}`);
  };
  if (!isRecord(json)) return fail('is not a JSON object');
  if (!isRecord(json.model)) return fail('has no "model"');
  // Old files leave the type out; BPE is then the only one with merges.
  const type = json.model.type ?? (Array.isArray(json.model.merges) ? 'BPE' : undefined);
  if (typeof type !== 'string' || !MODELS.has(type))
    throw new WhorlError('unsupported', `${origin}: model.type ${JSON.stringify(type)} is not handled`);
  const idByToken = new Map<string, number>();
  let entries = 0;
  for (const [token, id] of vocabulary(json.model.vocab, type, fail)) {
    if (!validId(id)) return fail(`model.vocab gives ${JSON.stringify(token)} the id ${String(id)}`);
    idByToken.set(token, id);
    entries++;
  }
  checkMerges(json.model, fail);
  const seen = new Set(idByToken.values());
  if (seen.size !== idByToken.size) return fail('model.vocab gives one id to two entries');
  const vocabularyOnly = new Map(idByToken);
  const added: AddedToken[] = [];
  const list = json.added_tokens ?? [];
  if (!Array.isArray(list)) return fail('"added_tokens" is not a list');
  for (const entry of list as unknown[]) {
    if (!isRecord(entry) || typeof entry.content !== 'string' || !validId(entry.id))
      return fail('"added_tokens" has an entry without a content and an id');
    const before = idByToken.get(entry.content);
    if (before !== undefined && before !== entry.id)
      return fail(`added token ${JSON.stringify(entry.content)} has two ids`);
    idByToken.set(entry.content, entry.id);
    added.push({ id: entry.id, content: entry.content, special: entry.special === true });
  }
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'])
    checkPatterns(json[part], part, origin, 0);
  return {
    entries,
    vocabulary: vocabularyOnly,
    idByToken,
    added,
    spelling: isByteLevel(json) ? 'byte-level' : 'other',
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const validId = (id: unknown): id is number =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_ID;

function vocabulary(
  vocab: unknown,
  type: string,
  fail: (what: string) => never,
): Iterable<[string, unknown]> {
  if (type === 'Unigram') {
    if (!Array.isArray(vocab)) return fail('model.vocab is not a list');
    return vocab.map((entry: unknown, id): [string, unknown] => {
      if (!Array.isArray(entry) || typeof entry[0] !== 'string')
        return fail(`model.vocab[${id}] is not [token, score]`);
      return [entry[0], id];
    });
  }
  if (!isRecord(vocab)) return fail('model.vocab is not an object');
  return Object.entries(vocab);
}

/** Every `{"Regex": …}` and every compiled map below a component, wherever it stands. */
function checkPatterns(value: unknown, path: string, origin: string, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) throw new WhorlError('bad-file', `${origin}: ${path} is nested too deeply`);
  const component = value as Record<string, unknown>;
  const missing = component.type === 'TemplateProcessing' ? missingToken(component) : undefined;
  if (missing !== undefined)
    throw new WhorlError('bad-file', `${origin}: ${path}.special_tokens has no ${JSON.stringify(missing)}`);
  const { type, precompiled_charsmap: charsmap } = component;
  const fault = type === 'Precompiled' || charsmap !== undefined ? charsmapFault(charsmap) : undefined;
  if (fault !== undefined)
    throw new WhorlError('bad-file', `${origin}: ${path}.precompiled_charsmap ${fault}`);
  for (const [name, inner] of Object.entries(value)) {
    const here = `${path}.${name}`;
    if (name === 'Regex' && typeof inner === 'string') {
      if (inner.length > MAX_PATTERN)
        throw new WhorlError('bad-file', `${origin}: ${here} has ${inner.length} characters`);
      const piece = explosiveRepeat(inner);
      if (piece !== undefined)
        throw new WhorlError(
          'unsupported',
          `${origin}: ${here} repeats a repetition (${JSON.stringify(piece)}), which can take for ever`,
        );
    } else checkPatterns(inner, here, origin, depth + 1);
  }
}

/** A special token that a template names and does not have: the native library would end the process at the first text. */
function missingToken({ single, pair, special_tokens }: Record<string, unknown>): string | undefined {
  const known = isRecord(special_tokens) ? special_tokens : {};
  for (const piece of [single, pair].flat())
    if (isRecord(piece) && isRecord(piece.SpecialToken)) {
      const id = String(piece.SpecialToken.id);
      if (!Object.hasOwn(known, id)) return id;
    }
  return undefined;
}

/** The second part of each merge begins with the prefix, which the native library cuts off without looking. */
function checkMerges(
  { continuing_subword_prefix: prefix, merges }: Record<string, unknown>,
  fail: (what: string) => never,
): void {
  if (typeof prefix !== 'string' || prefix === '' || !Array.isArray(merges)) return;
  for (const [i, merge] of (merges as unknown[]).entries()) {
    const second: unknown =
      typeof merge === 'string' ? merge.split(' ')[1] : (merge as unknown[] | null)?.[1];
    if (typeof second !== 'string' || !second.startsWith(prefix))
      fail(`model.merges[${i}] does not go on with model.continuing_subword_prefix`);
  }
}

const isByteLevel = (json: Record<string, unknown>): boolean =>
  [json.pre_tokenizer, json.decoder].some(
    (part) =>
      isRecord(part) &&
      [part, ...[part.pretokenizers, part.decoders].flat()].some(
        (piece) => isRecord(piece) && piece.type === 'ByteLevel',
      ),
  );
