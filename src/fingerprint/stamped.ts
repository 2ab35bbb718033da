// A drawn stamp as edits of a model's own tensors: of a folder that is copied, or of weights as they are written.

import type { DrawnStamp } from '../claim/stamp.ts';
import type { Decoder } from '../models/family.ts';
import type { Model } from '../models/model.ts';
import { ownNames } from '../models/names.ts';
import { writeStreamedFolder } from '../sources/checkpoints/patched-folder.ts';
import { stampedBytes, stampedValues } from '../stamp/stamp-tensor.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { Edit } from '../train/write-model.ts';

interface OwnMatrix {
  readonly key: Uint8Array;
  readonly scale: number;
}

/** What each of the folder's own tensors gets. */
function byOwnName({ plan, keyOf }: DrawnStamp, decoder: Decoder): ReadonlyMap<string, OwnMatrix> {
  const own = ownNames(decoder);
  return new Map(
    plan.matrices.map(({ name, scale }): [string, OwnMatrix] => [own(name), { key: keyOf(name), scale }]),
  );
}

/** A copy of the model's folder with the stamp in every committed matrix. Memory stays flat. */
export function writeStamped(model: Model, out: string, stamp: DrawnStamp): Promise<void> {
  const matrices = byOwnName(stamp, model.decoder);
  return writeStreamedFolder(model, out, matrices.keys(), (name, ref: TensorRef) => {
    const { key, scale } = matrices.get(name)!;
    return stampedBytes(ref, key, scale);
  });
}

/** For weights that are written as they were trained: each tensor is stamped in memory, before it is rounded. */
export function stampEdit(stamp: DrawnStamp, decoder: Decoder): Edit {
  const matrices = byOwnName(stamp, decoder);
  return {
    names: new Set(matrices.keys()),
    edited(name, values, dtype) {
      const { key, scale } = matrices.get(name)!;
      return stampedValues(values, 0, key, scale, dtype);
    },
  };
}
