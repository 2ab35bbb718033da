// A trained model as a folder: what did not train goes over byte for byte, the rest in the checkpoint's own dtype.

import type { ModelFolder } from '../models/model.ts';
import { copyReplaced } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TrainState } from './step.ts';
import type { Trainer } from './trainer.ts';

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
): void {
  copyReplaced(folder, out, trained.changed, (name, ref) => {
    const values = trained.tensor(name, state);
    return fromFloat32(share === 1 ? values : between(readTensor(ref).data, values, share), floatDtype(ref));
  });
}

const between = (before: Float32Array, after: Float32Array, share: number): Float32Array =>
  before.map((x, i) => x + share * (after[i]! - x));
