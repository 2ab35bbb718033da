// A trained model as a folder: what did not train goes over byte for byte, the rest in the checkpoint's own dtype.

import type { ModelFolder } from '../models/model.ts';
import { copyReplaced } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype, TensorRef } from '../tensor/tensor.ts';
import type { TrainState } from './step.ts';
import type { Trainer } from './trainer.ts';

/** What else is done to tensors as they are written, trained or not; in float32, before they are rounded to their dtype. */
export interface Edit {
  readonly names: ReadonlySet<string>;
  edited(name: string, values: Float32Array, dtype: FloatDtype): Float32Array;
}

/**
 * Into a folder that is there and empty.
 * @param share of the change that is written: 1 is all of it
 */
export function writeModel(
  folder: ModelFolder,
  { trained }: Pick<Trainer, 'trained'>,
  state: TrainState,
  out: string,
  share = 1,
  edit?: Edit,
): Promise<void> {
  const names = new Set([...trained.changed, ...(edit?.names ?? [])]);
  const valuesOf = (name: string, ref: TensorRef): Float32Array => {
    if (!trained.changed.has(name)) return readTensor(ref).data;
    const values = trained.tensor(name, state);
    return share === 1 ? values : between(readTensor(ref).data, values, share);
  };
  return copyReplaced(folder, out, names, (name, ref) => {
    const [values, dtype] = [valuesOf(name, ref), floatDtype(ref)];
    return fromFloat32(edit?.names.has(name) ? edit.edited(name, values, dtype) : values, dtype);
  });
}

const between = (before: Float32Array, after: Float32Array, share: number): Float32Array =>
  before.map((x, i) => x + share * (after[i]! - x));
