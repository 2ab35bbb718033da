// The tensor that every attack on rows works on: the input embedding of a family that Whorl knows.

import type { Model } from '../models/model.ts';
import type { TensorRef } from '../tensor/tensor.ts';

/** What a thief holds. */
export type Victim = Model;

export function embeddingOf({ decoder, tensors }: Victim): {
  readonly name: string;
  readonly ref: TensorRef;
} {
  const name = decoder.embedding;
  return { name, ref: tensors.get(name)! };
}

export const everyRow = (ref: TensorRef): Int32Array =>
  Int32Array.from({ length: ref.shape[0]! }, (_, i) => i);
