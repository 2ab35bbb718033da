// Who answers for a suspect: the model itself, or its embedding rows under the committed private part.

import { WhorlError } from '../base/error.ts';
import { adapterDigest, decodeMap } from '../claim/adapter.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import type { ModelSpec } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { type Overlay, PUBLISHED_WITH_ADAPTER } from '../models/overlay.ts';
import { digestCheckpoint, digestSmallFiles } from '../sources/checkpoints/digest.ts';
import { readTensorRows } from '../sources/checkpoints/read.ts';
import { checkOwnerParts, type OwnerParts, type VanillaDigests } from './exactness.ts';
import { placesInVocabulary } from './vocabulary.ts';

export interface Answering {
  readonly spec: ModelSpec;
  readonly ownerParts: OwnerParts;
  /** The suspect has its vocabulary in another order; its rows were found by what they are. */
  readonly reordered?: true;
}

/** What a folder is, as far as answers go: all weights, tokenizer files, config files. Reads every byte once. */
export const digestsOfModel = (folder: Model): VanillaDigests => ({
  weights: digestCheckpoint(folder),
  ...digestSmallFiles(folder.folder),
});

/** Tokenizer and chat template of whoever answers run apart: the suspect chose them (the owner's body costs little). */
const tokenizer = 'sandboxed';

/**
 * Who answers: the suspect itself; with a private part, the suspect's rows under the committed adapter, on either body.
 * @throws WhorlError `mismatch` for a body that is not the committed vanilla model, or a suspect of another shape
 */
export async function answering(
  suspect: Model,
  contents: SecretContents,
  body: string | undefined,
  open: (model: string) => Promise<Model>,
): Promise<Answering> {
  if (contents.adapter === null) {
    if (body !== undefined)
      throw new WhorlError('usage', '--body belongs to methods with a private part', 'leave it out');
    return { spec: { kind: 'model', model: suspect, tokenizer }, ownerParts: {} };
  }
  const ids = Int32Array.from(contents.bindings.trainable_rows);
  const embedding = suspect.tensors.get(suspect.decoder.embedding)!;
  if (ids.some((id) => id >= embedding.shape[0]!))
    throw new WhorlError(
      'mismatch',
      `${suspect.source} has too few embedding rows for this claim`,
      'the suspect has another vocabulary: this method cannot test it',
    );
  const adapter = decodeMap(contents.adapter);
  if (adapter.A.length !== adapter.rank * embedding.shape[1]!)
    throw new WhorlError(
      'mismatch',
      `${suspect.source} has embeddings of width ${embedding.shape[1]}, the adapter ${adapter.A.length / adapter.rank}`,
      'this method cannot test it',
    );
  const overlay: Overlay = { ids, rows: readTensorRows(embedding, ids), adapter };
  const digest = adapterDigest(contents.adapter);
  if (body === undefined)
    return {
      spec: { kind: 'model', model: suspect, overlay, variant: PUBLISHED_WITH_ADAPTER, tokenizer },
      ownerParts: { adapter: digest },
    };
  const owner = await open(body);
  const ownerParts = { adapter: digest, body: digestsOfModel(owner) };
  checkOwnerParts(contents.bindings, ownerParts);
  const vanilla = owner.tensors.get(owner.decoder.embedding)!;
  const places = placesInVocabulary(vanilla, embedding, ids) ?? ids;
  const found: Overlay = { ...overlay, rows: readTensorRows(embedding, places) };
  return {
    spec: { kind: 'model', model: owner, overlay: found, variant: PUBLISHED_WITH_ADAPTER, tokenizer },
    ownerParts,
    ...(places !== ids && { reordered: true }),
  };
}
