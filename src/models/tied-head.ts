// A head that is tied to the embedding and stored beside it, or in its place: one tensor to whoever reads, two places to
// whoever writes. transformers 5 ties such a head only if both are equal, version 4 in any case.

import { WhorlError } from '../base/error.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import { sameValues } from '../sources/checkpoints/read.ts';
import { familyOf } from './llama.ts';

/** What decoders call a head of their own. */
export const HEAD = 'lm_head.weight';

/**
 * The checkpoint with one tensor for a tied head and embedding: a stored head of the same values becomes a copy, one
 * without an embedding stands for it. Throws `mismatch` where both are stored and differ; `where` is for messages.
 */
export function withTiedHead<C extends Checkpoint>(checkpoint: C, where: string): C {
  const { tensors } = checkpoint;
  const head = tensors.get(HEAD);
  const embedding = head && tiedEmbedding(checkpoint);
  if (!head || embedding === undefined) return checkpoint;
  const table = tensors.get(embedding);
  const rest = [...tensors].filter(([name]) => name !== HEAD);
  if (!table) return { ...checkpoint, tensors: new Map([...rest, [embedding, head]]) };
  if (String(table.shape) !== String(head.shape) || !sameValues(table, head))
    throw new WhorlError(
      'mismatch',
      `${where}: config.json ties ${HEAD} to ${embedding} (tie_word_embeddings), but both are stored, with different values`,
      'set "tie_word_embeddings": false, as transformers 5 opens it, or take out lm_head.weight, as transformers 4 does',
    );
  const copies = new Map([...(checkpoint.copies ?? []), [embedding, [head]]]);
  return { ...checkpoint, tensors: new Map(rest), copies };
}

/** The embedding's name where a config says that the head is tied to it; of families that we do not know, the usual one. */
export function tiedEmbedding({ config }: Checkpoint): string | undefined {
  try {
    const { config: own, embedding } = familyOf(config, 'config.json');
    return own.tie_word_embeddings ? embedding : undefined;
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    return config.tie_word_embeddings === true ? 'model.embed_tokens.weight' : undefined;
  }
}
