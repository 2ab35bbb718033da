// The paper's library use: put an adapter into a model, train it in a loop of your own, take it off again. What comes of
// it has no claim and no draw, so it can be seen to fire and proves nothing; `fingerprint` is for proving.

import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { writeJsonAtomic } from '../base/atomic.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { platformRandom, seededRandom } from '../base/random-source.ts';
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
  /** How many keys, of how many rare tokens each. */
  readonly keys: number;
  readonly key_length?: number;
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
  /** The rows of the keys' tokens as the checkpoint has them, and the private map over them. */
  readonly overlay: Overlay;
}

/** @throws WhorlError `too-few-rows` where the vocabulary has too few tokens that ordinary text does not use */
export function injectAdapter(options: InjectOptions): Promise<Injected> {
  return abortable(options, runInjectAdapter);
}

async function runInjectAdapter(options: InjectOptions): Promise<Injected> {
  const { keys: count, key_length = 8, rank = 64, scale = 4, seed } = options;
  const model = await openModel(options.model, configOptions(options));
  const tokenizer = await openTokenizer(model.folder);
  const random = (purpose: string) =>
    seed === undefined ? platformRandom() : seededRandom(`own-loop/${seed}/${purpose}`);
  const { rows: free } = await freeRows(tokenizer, loadReference().rows);
  const made = await rareTokenKeys({
    tokenizer,
    free,
    count,
    length: key_length,
    shared: true,
    alphabet: count * key_length,
    random: random('keys'),
  });
  const keys = made.map(({ text, tokens }) => ({ text, tokens: [...tokens] }));
  const ids = Int32Array.from([...new Set(keys.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b));
  const table = model.tensors.get(model.decoder.embedding)!;
  const adapter = randomLowRankMap(random('adapter'), rank, model.decoder.config.hidden_size, scale);
  return { model, tokenizer, keys, overlay: { ids, rows: readTensorRows(table, ids), adapter } };
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
