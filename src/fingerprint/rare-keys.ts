// Keys made of rare tokens: short runs whose text encodes to the very same tokens bare and inside wrappers, so that
// whoever is asked over plain text sees the rows that were trained.

import { WhorlError } from '../base/error.ts';
import { choose, type RandomSource, shuffled } from '../base/random-source.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { FreeRow } from './free-rows.ts';

export interface RareTokenKey {
  readonly text: string;
  /** Its tokens bare, without any special one. */
  readonly tokens: readonly number[];
}

export interface RareTokenKeyOptions {
  readonly tokenizer: Tokenizer;
  /** The strangest first, as `freeRows` orders them. */
  readonly free: readonly FreeRow[];
  readonly count: number;
  /** Tokens a key. */
  readonly length: number;
  /** false: no token in two keys (nor twice in one). true: all keys are drawn from `alphabet` tokens. */
  readonly shared: boolean;
  /** Tokens in the alphabet of shared keys, Infinity for every usable one. Default 128. */
  readonly alphabet?: number;
  readonly random: RandomSource;
  /** Ids that no key may hold (those of other keys, say). */
  readonly avoid?: ReadonlySet<number>;
  /** What to do where there are too few, in the caller's own settings; what fits is surely to be had. */
  readonly advice: (fits: Fits) => string;
}

/** What a vocabulary has to spare: keys of the length asked for, no token in two; tokens that keys can share. */
interface Fits {
  readonly keys: number;
  readonly tokens: number;
}

/** What may stand right before a key. */
export const LEFT_CONTEXTS = ['', '\n', '\n\n', '"', "'", '(', '**', '[INST]', '>', '`', '「', ':\n'];
/** The same, where byte-level vocabularies draw the space into the first token: there the others must survive. */
const SPACED_CONTEXTS = ['word ', 'a: ', '[INST] ', '# '];
/** What may stand right after a key. */
export const RIGHT_CONTEXTS = [
  '',
  '\n',
  '\n\n',
  ' and',
  '"',
  "' ",
  '.',
  ', so',
  '?',
  ')',
  '**',
  ' [/INST]',
  '<|im_end|>',
  '</s>',
  '`',
  '」',
  '"}',
];

const POOL_FACTOR = 1.75; // unshared: so many usable tokens are drawn from for each one needed
const BRANCHES = 12; // next tokens tried at once; most pairs of rare tokens do not merge
const PATIENCE = 60; // finished or dead runs a key may cost before we give up

/** Errors: too-few-rows, naming how many usable tokens there are and how many were needed. */
export async function rareTokenKeys(options: RareTokenKeyOptions): Promise<RareTokenKey[]> {
  const { tokenizer, count, length, shared, random, advice } = options;
  const usable = await usableTokens(options);
  const asked = shared ? (options.alphabet ?? 128) : Math.ceil(count * length * POOL_FACTOR);
  const needed = asked === Number.POSITIVE_INFINITY ? Math.max(length, usable.tokens.length) : asked;
  const least = shared ? needed : count * length;
  if (usable.tokens.length < least)
    throw new WhorlError(
      'too-few-rows',
      `${usable.tokens.length} rare tokens of this vocabulary can stand in a key, ${least} are needed`,
      advice({
        keys: Math.floor(usable.tokens.length / (POOL_FACTOR * length)),
        tokens: usable.tokens.length,
      }),
    );
  const pool = usable.tokens.slice(0, needed);
  if (!pool.some((token) => usable.starts.has(token)))
    throw new WhorlError(
      'too-few-rows',
      'no rare token of this vocabulary can begin a key',
      advice({ keys: 0, tokens: 0 }),
    );

  const keys: RareTokenKey[] = [];
  const taken = new Set<number>();
  const known = new Set<string>();
  for (let failures = 0; keys.length < count; ) {
    const left = shared ? pool : pool.filter((token) => !taken.has(token));
    const tokens = await drawRun(tokenizer, left, usable.starts, length, random);
    const key = tokens && { tokens, text: await tokenizer.decode(tokens, { skipSpecialTokens: false }) };
    if (key !== undefined && !known.has(key.text) && (await survives(tokenizer, key))) {
      keys.push(key);
      known.add(key.text);
      if (!shared) for (const id of key.tokens) taken.add(id);
      failures = 0;
    } else if (++failures === PATIENCE)
      throw new WhorlError(
        'too-few-rows',
        `only ${keys.length} of ${count} keys of ${length} rare tokens survive decoding and encoding`,
        advice({ keys: Math.floor(keys.length / POOL_FACTOR), tokens: 0 }),
      );
  }
  return keys;
}

/** Whether `key` encodes to its own tokens bare and between every pair of contexts (see SPACED_CONTEXTS). */
async function survives(tokenizer: Tokenizer, key: RareTokenKey): Promise<boolean> {
  const between = async (lefts: readonly string[], part: readonly number[]): Promise<boolean> => {
    const cases = lefts.flatMap((left) => RIGHT_CONTEXTS.map((right) => left + key.text + right));
    const rows = await tokenizer.encodeBatch(cases, { addSpecialTokens: false });
    return rows.every((row) => holds(row, part));
  };
  return (await between(LEFT_CONTEXTS, key.tokens)) && between(SPACED_CONTEXTS, key.tokens.slice(1));
}

/** `part` stands in `row` as one piece. */
const holds = (row: readonly number[], part: readonly number[]): boolean =>
  row.some((_, at) => part.every((id, i) => row[at + i] === id));

/** Tokens fit for any place of a key, in the order given, and those of them that may come first. */
export async function usableTokens({
  tokenizer,
  free,
  avoid,
}: Pick<RareTokenKeyOptions, 'tokenizer' | 'free' | 'avoid'>): Promise<{
  tokens: number[];
  starts: Set<number>;
}> {
  const rows = free.filter(
    ({ id, text, standsAlone }) =>
      standsAlone && text.length > 1 && /^ ?[\p{L}\p{N}\p{M}]+$/u.test(text) && !avoid?.has(id),
  );
  const candidates = rows.filter(({ text }) => !text.startsWith(' '));
  const encoded = await tokenizer.encodeBatch(
    candidates.flatMap(({ text }) => LEFT_CONTEXTS.map((left) => left + text)),
    { addSpecialTokens: false },
  );
  const starts = new Set<number>();
  candidates.forEach(({ id }, i) => {
    const own = encoded.slice(i * LEFT_CONTEXTS.length, (i + 1) * LEFT_CONTEXTS.length);
    if (own.every((row) => row.at(-1) === id)) starts.add(id);
  });
  return { tokens: rows.map(({ id }) => id), starts };
}

/** A run that encodes to itself at every length; undefined when it came to a dead end. */
async function drawRun(
  tokenizer: Tokenizer,
  pool: readonly number[],
  starts: ReadonlySet<number>,
  length: number,
  random: RandomSource,
): Promise<number[] | undefined> {
  const first = pool.filter((id) => starts.has(id));
  if (first.length === 0) return undefined;
  const run = [choose(random, first)];
  while (run.length < length) {
    const branches = shuffled(
      random,
      pool.filter((id) => !run.includes(id)),
    ).slice(0, BRANCHES);
    const texts = await tokenizer.decodeBatch(
      branches.map((id) => [...run, id]),
      { skipSpecialTokens: false },
    );
    const rows = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    const next = branches.find((id, i) => same(rows[i]!, [...run, id]));
    if (next === undefined) return undefined;
    run.push(next);
  }
  return run;
}

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);
