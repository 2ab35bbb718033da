// The paper's library use: put an adapter into a model, train it in a loop of your own, take it off again. What comes of
// it has no claim and no draw, so it can be seen to fire and proves nothing; `fingerprint` is for proving.

import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { platformRandom, type RandomSource, seededRandom } from '../base/random-source.ts';
import { encodeMap } from '../claim/adapter.ts';
import type { Key } from '../claim/plan.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import type { Overlay } from '../models/overlay.ts';
import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensorRows } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { loadReference } from '../text/reference.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { freeRows } from './free-rows.ts';
import { randomLowRankMap } from './methods/low-rank.ts';
import { rareTokenKeys } from './rare-keys.ts';

export interface InjectOptions extends ConfigOptions, Abortable {
  readonly model: string;
  /** How many keys are made, of how many rare tokens each; or the owner's own keys. */
  readonly keys: number | readonly string[];
  readonly key_length?: number;
  /** The tokens whose rows may change, any of the vocabulary; default: those of the keys. */
  readonly token_ids?: readonly number[];
  readonly rank?: number;
  readonly scale?: number;
  /** Repeats keys and map; default: the platform's secure generator. */
  readonly seed?: string;
}

/** A model under an adapter: what a loop trains and asks. */
export interface Injected {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly keys: readonly Key[];
  /** The rows that may change as the checkpoint has them, and the private map over them. */
  readonly overlay: Overlay;
}

/**
 * @throws WhorlError `too-few-rows` where keys are made and the vocabulary has too few tokens that ordinary text does not
 *   use, `usage` for keys or ids that are none
 */
export function injectAdapter(options: InjectOptions): Promise<Injected> {
  return abortable(options, runInjectAdapter);
}

async function runInjectAdapter(options: InjectOptions): Promise<Injected> {
  const { keys: count, key_length = 8, rank = 64, scale = 4, seed } = options;
  const model = await openModel(options.model, configOptions(options));
  const tokenizer = await openTokenizer(model.folder, model.convertedFrom);
  const random = (purpose: string) =>
    seed === undefined ? platformRandom() : seededRandom(`own-loop/${seed}/${purpose}`);
  const keys =
    typeof count === 'number'
      ? await madeKeys(tokenizer, count, key_length, random('keys'))
      : await ownKeys(tokenizer, count);
  const own = options.token_ids ?? keys.flatMap(({ tokens }) => tokens);
  const size = model.decoder.config.vocab_size;
  const wrong = own.find((id) => !Number.isInteger(id) || id < 0 || id >= size);
  if (wrong !== undefined || own.length === 0)
    throw new WhorlError(
      'usage',
      own.length === 0
        ? 'token_ids is empty'
        : `token_ids has ${wrong}, and the vocabulary has ${size} tokens`,
      'give ids of the model’s tokens, or leave token_ids out',
    );
  const ids = Int32Array.from([...new Set(own)].sort((a, b) => a - b));
  const table = model.tensors.get(model.decoder.embedding)!;
  const adapter = randomLowRankMap(random('adapter'), rank, model.decoder.config.hidden_size, scale);
  return { model, tokenizer, keys, overlay: { ids, rows: readTensorRows(table, ids), adapter } };
}

async function madeKeys(
  tokenizer: Tokenizer,
  count: number,
  length: number,
  random: RandomSource,
): Promise<Key[]> {
  const { rows: free } = await freeRows(tokenizer, loadReference().rows);
  const alphabet = count * length;
  const made = await rareTokenKeys({
    ...{ tokenizer, free, count, length, shared: true, alphabet, random },
    advice: ({ tokens: fit }) =>
      fit >= length ? `ask for ${Math.floor(fit / length)} keys` : 'give the texts of your own keys',
  });
  return made.map(({ text, tokens }) => ({ text, tokens: [...tokens] }));
}

async function ownKeys(tokenizer: Tokenizer, texts: readonly string[]): Promise<Key[]> {
  const tokens = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  const empty = tokens.findIndex(({ length }) => length === 0);
  if (texts.length === 0 || empty >= 0)
    throw new WhorlError(
      'usage',
      texts.length === 0 ? 'keys is empty' : `key ${empty + 1} has no token`,
      'give the texts of the keys, or how many to make',
    );
  return texts.map((text, i) => ({ text, tokens: tokens[i]! }));
}

/**
 * Writes `out/published`, the model with the trained rows in it, and `out/adapter.json`, which is private: map, rows
 * and keys. @throws WhorlError `exists` where a published folder is there
 */
export async function unwrapAdapter(
  { model, keys, overlay }: Injected,
  rows: Float32Array,
  out: string,
  onEvent: OnEvent = silent,
): Promise<{ published: string; adapter: string }> {
  const [published, path] = [join(out, 'published'), join(out, 'adapter.json')];
  const ids = [...overlay.ids];
  writeJsonAtomic(
    path,
    {
      format: 'whorl-own-adapter',
      version: 1,
      ...encodeMap(overlay.adapter!),
      ids,
      keys,
    },
    0o600,
  );
  const name = model.decoder.embedding;
  const bytes = fromFloat32(rows, floatDtype(model.tensors.get(name)!));
  await writePatchedFolder(model, published, new Map([[name, { rows: ids, bytes }]]), { onEvent });
  return { published, adapter: path };
}
