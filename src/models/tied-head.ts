// A head that is tied to the embedding and stored beside it, or in its place: one tensor to whoever reads, two places to
// whoever writes. transformers 5 ties such a head only if both are equal, version 4 in any case.

import { WhorlError } from '../base/error.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import { sameValues } from '../sources/checkpoints/read.ts';
import { familyOf } from './families/index.ts';

/**
 * The checkpoint with one tensor for a tied head and embedding: a stored head of the same values becomes a copy, one
 * without an embedding stands for it. Throws `mismatch` where both are stored and differ; `where` is for messages.
 */
export function withTiedHead<C extends Checkpoint>(checkpoint: C, where: string): C {
  const { tensors } = checkpoint;
  const tied = tiedNames(checkpoint);
  const head = tied && tensors.get(tied.head);
  if (!head) return checkpoint;
  const { embedding } = tied;
  const table = tensors.get(embedding);
  const rest = [...tensors].filter(([name]) => name !== tied.head);
  if (!table) return { ...checkpoint, tensors: new Map([...rest, [embedding, head]]) };
  if (String(table.shape) !== String(head.shape) || !sameValues(table, head))
    throw new WhorlError(
      'mismatch',
      `${where}: config.json ties ${tied.head} to ${embedding} (tie_word_embeddings), but both are stored, with different values`,
      `set "tie_word_embeddings": false, as transformers 5 opens it, or take out ${tied.head}, as transformers 4 does`,
    );
  const copies = new Map([...(checkpoint.copies ?? []), [embedding, [head]]]);
  return { ...checkpoint, tensors: new Map(rest), copies };
}

/** Both names where a config says that the head is tied; of families that we do not know, the usual ones. */
export function tiedNames({
  config,
}: Checkpoint): { readonly head: string; readonly embedding: string } | undefined {
  try {
    const { config: own, embedding, ownHead } = familyOf(config, 'config.json');
    return own.tie_word_embeddings ? { head: ownHead, embedding } : undefined;
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    if (config.tie_word_embeddings !== true) return undefined;
    return { head: 'lm_head.weight', embedding: 'model.embed_tokens.weight' };
  }
}
