// The tensor that every attack on rows works on: the input embedding of a family that Whorl knows.

import { WhorlError } from '../base/error.ts';
import { familyOf } from '../models/families/llama.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import type { TensorRef } from '../tensor/tensor.ts';

/** What a thief holds. */
export type Victim = Checkpoint & { readonly source?: string };

/** Throws `bad-file` where the checkpoint lacks it. */
export function embeddingOf(victim: Victim): { readonly name: string; readonly ref: TensorRef } {
  const where = victim.source ?? victim.folder;
  const name = familyOf(victim.config, `${where}/config.json`).embedding;
  const ref = victim.tensors.get(name);
  if (ref === undefined)
    throw new WhorlError('bad-file', `${where} has no tensor ${name}`, 'get the checkpoint again');
  return { name, ref };
}

export const everyRow = (ref: TensorRef): Int32Array =>
  Int32Array.from({ length: ref.shape[0]! }, (_, i) => i);
