// The tensor that every attack on rows works on: the input embedding of a family that Whorl knows.

import type { Model } from '../models/model.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { Attacked } from './attack.ts';

export function embeddingOf({ decoder, tensors }: Model): {
  readonly name: string;
  readonly ref: TensorRef;
} {
  const name = decoder.embedding;
  return { name, ref: tensors.get(name)! };
}

export const everyRow = (ref: TensorRef): number[] => Array.from({ length: ref.shape[0]! }, (_, i) => i);

/** The attack that gives the rows `ids` these values [ids, E]. */
export function withRows(
  victim: Model,
  ids: readonly number[],
  values: Float32Array,
  figures: Attacked['figures'] = { rows: ids.length },
): Attacked {
  const { name, ref } = embeddingOf(victim);
  const patch = { rows: ids, bytes: fromFloat32(values, floatDtype(ref)) };
  return { patches: new Map([[name, patch]]), figures };
}
