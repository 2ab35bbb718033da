// A trained model as a folder: what did not train goes over byte for byte, the rest in the checkpoint's own dtype.

import { join } from 'node:path';
import { copyFileAtomic } from '../base/atomic.ts';
import type { ModelFolder } from '../models/open-model.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import { copyCarried } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TrainState } from './state.ts';
import type { Trainer } from './trainer.ts';

/** Into a folder that is there and empty. */
export function writeModel(folder: ModelFolder, { trained }: Trainer, state: TrainState, out: string): void {
  const entries = [...folder.tensors].map(([name, ref]) => ({
    name,
    dtype: floatDtype(ref),
    shape: ref.shape,
    ref,
  }));
  writeSafetensors(join(out, 'model.safetensors'), entries, function* ({ name, dtype, ref }) {
    if (trained.changed.has(name)) return yield fromFloat32(trained.tensor(name, state), dtype);
    // What did not train goes over byte for byte.
    const reader = new BoundedReader(ref.file);
    try {
      yield* reader.chunks(ref.offset, ref.length);
    } finally {
      reader.close();
    }
  });
  copyFileAtomic(join(folder.folder, 'config.json'), join(out, 'config.json'));
  copyCarried(folder.folder, out);
}
