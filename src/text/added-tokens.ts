// Tokens that stand beside a vocabulary: added_tokens.json, tokenizer_config.json, special_tokens_map.json. Which of
// these count, in which order and with which ids and flags is transformers' affair; this does as transformers 5 does.
// https://github.com/huggingface/transformers, src/transformers/tokenization_utils_base.py, tokenization_utils_tokenizers.py

import { WhorlError } from '../base/error.ts';
import type { AddedEntry } from './sentencepiece.ts';

/** The names that every tokenizer may have, in the order in which new ones get their ids. */
const NAMED: readonly string[] = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

export interface AddedTokens {
  /** All of them, a token once, in the order in which the tokenizer library gives ids to those it does not know. */
  readonly added: readonly AddedEntry[];
  /** `eos_token` → `</s>`, names that only this model has among them. */
  readonly names: ReadonlyMap<string, string>;
}

/** What is known before: the vocabulary, what tokenizer.json adds to it, and names that stand where the files say none. */
export interface Before {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Entries of the vocabulary, where one may come twice: the first new token gets this id. */
  readonly entries: number;
  readonly own: readonly unknown[];
  readonly defaults: ReadonlyMap<string, string>;
}

type Json = Readonly<Record<string, unknown>>;
/** A token as a file has it: its text alone, or with flags. */
interface Token {
  readonly content: string;
  /** Undefined where only the text is given. */
  readonly flags: Json | undefined;
}

/** @throws WhorlError `bad-file`, naming file and entry */
export function addedTokens(before: Before, files: Json, origin: string): AddedTokens {
  const settings = record(files['tokenizer_config.json']);
  const listed = settings.added_tokens_decoder !== undefined; // then the older files no longer count
  const map = listed ? {} : record(files['special_tokens_map.json']);
  const { named, extra, isSpecial } = names(settings, map, before.defaults);
  const own = before.own.map((entry) => flagged(tokenOf(entry)!));
  const beside = listed
    ? decoderEntries(settings.added_tokens_decoder, origin)
    : olderEntries(files['added_tokens.json'], before.own, isSpecial, origin);
  const namedTexts = new Set([...named.values()].map(({ content }) => content));
  const list = beside.map((entry) => ({ ...entry, special: entry.special || namedTexts.has(entry.content) }));
  const there = new Set([...own, ...list].map(({ content }) => content));
  const fresh = (token: Token) => !there.has(token.content);
  // Named tokens are special whatever their flags say; further ones unless they say otherwise.
  for (const token of [...named.values()].filter(fresh)) list.push({ ...flagged(token), special: true });
  for (const token of extra.filter(fresh))
    list.push({ ...flagged(token), special: token.flags === undefined || token.flags.special === true });
  return {
    added: withIds([...own, ...list], before),
    names: new Map([...named].map(([name, { content }]) => [name, content])),
  };
}

/** A token that comes again keeps its id, takes the later flags, and stays special once it was. */
function withIds(tokens: readonly Omit<AddedEntry, 'id'>[], { vocabulary, entries }: Before): AddedEntry[] {
  const added = new Map<string, AddedEntry>();
  let last = -1;
  for (const token of tokens) {
    if (token.content === '') continue;
    const before = added.get(token.content);
    const id = before?.id ?? vocabulary.get(token.content) ?? (last >= entries ? last + 1 : entries);
    last = Math.max(last, id);
    added.set(token.content, { ...token, id, special: token.special || before?.special === true });
  }
  return [...added.values()];
}

function names(settings: Json, map: Json, defaults: ReadonlyMap<string, string>) {
  const named = new Map<string, Token>();
  const ofModel = new Map<string, Token>();
  let extra = settings.extra_special_tokens;
  let older = settings.additional_special_tokens;
  if (older !== undefined && isEmpty(extra)) [extra, older] = [older, undefined];
  const take = (json: Json): void => {
    for (const [name, value] of Object.entries(json)) {
      const token = tokenOf(value);
      if (NAMED.includes(name)) {
        if (token) named.set(name, token);
        else named.delete(name);
      } else if (token && name.endsWith('_token')) ofModel.set(name, token);
    }
  };
  for (const [name, content] of defaults) named.set(name, { content, flags: undefined });
  take(settings);
  take(map);
  const lists = [extra, map.extra_special_tokens].map((value) => {
    if (!isObject(value)) return Array.isArray(value) ? value : undefined;
    for (const [name, token] of Object.entries(value)) {
      const made = tokenOf(token);
      if (made) ofModel.set(name, made);
    }
    return undefined;
  });
  const list = lists[0] === undefined && lists[1] === undefined ? undefined : lists.flatMap((of) => of ?? []);
  const tokens = (value: unknown): Token[] =>
    (Array.isArray(value) ? value : []).map(tokenOf).filter((token) => token !== undefined);
  const known = new Set([...[...named.values()], ...tokens(list)].map(({ content }) => content));
  const ordered = new Map<string, Token>();
  for (const name of NAMED) {
    const token = named.get(name);
    if (token) ordered.set(name, token);
  }
  for (const [name, token] of ofModel) ordered.set(name, token);
  return {
    named: ordered,
    extra: tokens(list ?? map.additional_special_tokens ?? older),
    isSpecial: (content: string) => known.has(content),
  };
}

/** `added_tokens_decoder`: id → token, in the order of the ids. The ids themselves do not count. */
function decoderEntries(value: unknown, origin: string): Omit<AddedEntry, 'id'>[] {
  return Object.entries(record(value))
    .map(([key, entry]) => {
      const token = tokenOf(entry);
      if (!/^\d{1,9}$/.test(key) || token?.flags === undefined) throw malformed(origin, key);
      return { id: Number(key), token };
    })
    .sort((a, b) => a.id - b.id)
    .map(({ token }) => flagged(token));
}

/** added_tokens.json (token → id) and, over it, what tokenizer.json adds. */
function olderEntries(
  json: unknown,
  own: readonly unknown[],
  isSpecial: (content: string) => boolean,
  origin: string,
): Omit<AddedEntry, 'id'>[] {
  const byId = new Map<number, Omit<AddedEntry, 'id'>>();
  for (const [content, id] of Object.entries(record(json))) {
    if (!Number.isSafeInteger(id)) throw malformed(origin, content);
    const special = isSpecial(content);
    byId.set(id as number, flagged({ content, flags: { special, normalized: !special } }));
  }
  for (const entry of own) byId.set(record(entry).id as number, flagged(tokenOf(entry)!));
  return [...byId].sort(([a], [b]) => a - b).map(([, entry]) => entry);
}

const malformed = (origin: string, key: string) =>
  new WhorlError(
    'bad-file',
    `${origin}: the added token ${JSON.stringify(key)} beside it is malformed`,
    'save the tokenizer again with transformers',
  );

/** What `AddedToken(**flags)` makes: only a token that is not special is looked for in the normalised text by default. */
function flagged({ content, flags = { special: true } }: Token): Omit<AddedEntry, 'id'> {
  const special = flags.special === true;
  return {
    content,
    special,
    single_word: flags.single_word === true,
    lstrip: flags.lstrip === true,
    rstrip: flags.rstrip === true,
    normalized: flags.normalized === undefined ? !special : flags.normalized === true,
  };
}

function tokenOf(value: unknown): Token | undefined {
  if (typeof value === 'string') return { content: value, flags: undefined };
  const flags = record(value);
  return typeof flags.content === 'string' ? { content: flags.content, flags } : undefined;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const record = (value: unknown): Json => (isObject(value) ? value : {});
const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (isObject(value) ? Object.keys(value) : [value].flat()).length === 0;
