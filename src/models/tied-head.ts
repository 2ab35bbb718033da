// What is tied to the embedding and stored beside it, or in its place: one tensor to whoever reads, several places to
// whoever writes. transformers 5 ties such a head only if both are equal, version 4 in any case.

import { WhorlError } from '../base/error.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import { sameValues } from '../sources/checkpoints/read.ts';
import { familyOf } from './families/index.ts';

/**
 * The checkpoint with one tensor for an embedding and what is tied to it (a head; the stacks' own tables of an
 * encoder-decoder): those that are stored with the same values become copies, without the embedding the first stands for
 * it. Throws `mismatch` where they differ; `where` is for messages.
 */
export function withTiedHead<C extends Checkpoint>(checkpoint: C, where: string): C {
  const { tensors } = checkpoint;
  const tied = tiedNames(checkpoint);
  if (!tied) return checkpoint;
  const { embedding } = tied;
  const found = [tied.head, ...tied.copies].filter(
    (name) => name !== undefined && tensors.has(name),
  ) as string[];
  if (found.length === 0) return checkpoint;
  const own = tensors.get(embedding) ?? tensors.get(found[0]!)!;
  const others = found.filter((name) => tensors.get(name) !== own);
  for (const name of others) {
    const copy = tensors.get(name)!;
    if (String(own.shape) === String(copy.shape) && sameValues(own, copy)) continue;
    throw new WhorlError(
      'mismatch',
      name === tied.head
        ? `${where}: config.json ties ${name} to ${embedding} (tie_word_embeddings), but both are stored, with different values`
        : `${where}: ${name} and ${embedding} are one matrix, but both are stored, with different values`,
      name === tied.head
        ? `set "tie_word_embeddings": false, as transformers 5 opens it, or take out ${name}, as transformers 4 does`
        : `take out ${name}`,
    );
  }
  const rest = [...tensors].filter(([name]) => !found.includes(name));
  const left = new Map(tensors.has(embedding) ? rest : [...rest, [embedding, own]]);
  if (others.length === 0) return { ...checkpoint, tensors: left };
  const copies = new Map([
    ...(checkpoint.copies ?? []),
    [embedding, others.map((name) => tensors.get(name)!)],
  ]);
  return { ...checkpoint, tensors: left, copies };
}

/**
 * The embedding, what else it may be stored as, and the head where a config says that it is tied; of families that we do
 * not know, the usual names.
 */
export function tiedNames({ config, tensors }: Checkpoint):
  | {
      readonly embedding: string;
      readonly head: string | undefined;
      readonly copies: readonly string[];
    }
  | undefined {
  try {
    const {
      config: own,
      embedding,
      ownHead,
      embeddingCopies = [],
    } = familyOf(config, 'config.json', tensors);
    return { embedding, head: own.tie_word_embeddings ? ownHead : undefined, copies: embeddingCopies };
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    if (config.tie_word_embeddings !== true) return undefined;
    return { head: 'lm_head.weight', embedding: 'model.embed_tokens.weight', copies: [] };
  }
}
