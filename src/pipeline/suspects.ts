// Who answers for each file of a run: a folder, the suspect's own rows under the private adapter, or the suspect's whole
// embedding on the published model's other weights (with a tied head it is the head too).

import { WhorlError } from '../base/error.ts';
import type { ModelSpec } from '../lm/open.ts';
import { bindModel, type Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { type LowRankMap, PUBLISHED_WITH_ADAPTER } from '../models/overlay.ts';
import type { AnswerKind } from '../runs/paper-folder.ts';
import { readTensorRows } from '../sources/checkpoints/read.ts';
import type { TensorRef } from '../tensor/tensor.ts';

export interface Folders extends ConfigOptions {
  readonly vanilla: string;
  readonly published: string;
  /** The user's model; only asked for by the kinds that name one. */
  readonly user: string;
  readonly cacheDir?: string;
}

/** The private part of a secret, where the method has one. */
export interface PrivatePart {
  readonly map: LowRankMap;
  /** The rows it acts on. */
  readonly rows: readonly number[];
}

export type SingleKind = Exclude<AnswerKind, 'sample_from_bos'>;

export type Who = 'vanilla' | 'published' | 'user';

export interface Suspect {
  /** The folders that its answers are made of. */
  readonly of: readonly Who[];
  spec(folders: Folders, part: PrivatePart | undefined): Promise<ModelSpec>;
}

const alone = (who: Who): Suspect => ({
  of: [who],
  spec: async (folders) => ({ kind: 'model', model: await open(folders, who) }),
});

const underAdapter = (embeddings: 'published' | 'user', body: 'published' | 'user'): Suspect => ({
  of: [...new Set([embeddings, body])],
  async spec(folders, part) {
    if (!part)
      throw new WhorlError('mismatch', 'this run has no private adapter', 'ask it with --config sft_chat');
    const own = await open(folders, embeddings);
    const rest = embeddings === body ? own : await open(folders, body);
    const { embedding } = rest.decoder;
    const table = embeddingOf(own, embedding, part);
    const model = bindModel({
      ...rest,
      tensors: new Map([...rest.tensors, [embedding, table]]),
      files: [...rest.files, ...own.files],
    }); // bound anew: its weights lie in two folders
    const ids = Int32Array.from(part.rows);
    return {
      kind: 'model',
      model,
      overlay: { ids, rows: readTensorRows(table, ids), adapter: part.map },
      variant: PUBLISHED_WITH_ADAPTER,
    };
  },
});

export const SUSPECTS: Readonly<Record<SingleKind, Suspect>> = {
  vanilla: alone('vanilla'),
  publish: alone('published'),
  publish_w_adapter: underAdapter('published', 'published'),
  tuned_publish: alone('user'),
  tuned_round: alone('user'),
  tuned_w_adapter: underAdapter('user', 'published'),
  tuned_direct: underAdapter('user', 'user'),
};

const open = ({ cacheDir, ...folders }: Folders, who: Who) =>
  openModel(folders[who], { ...(cacheDir ? { cacheDir } : {}), ...configOptions(folders) });

function embeddingOf(folder: Model, name: string, { rows, map }: PrivatePart): TensorRef {
  const table = folder.tensors.get(name);
  const width = map.A.length / map.rank;
  if (table?.shape[1] === width && rows.every((id) => id < table.shape[0]!)) return table;
  throw new WhorlError(
    'mismatch',
    `${folder.source} has no embedding of width ${width} with the rows of this claim`,
    'it is of another model',
  );
}
