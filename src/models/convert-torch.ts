// A folder whose weights are torch's pickles, written anew with the same bytes as safetensors.

import { BoundedReader } from '../sources/bounded-reader.ts';
import { filesBesideWeights } from '../sources/checkpoints/carried.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { sourceFolder } from '../sources/checkpoints/folder.ts';
import { torchTensors } from '../sources/checkpoints/torch-folder.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { type MadeFile, madeWeights } from './made-folder.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const TORCH_CONVERSION = 1;

/** @param files the weights of `source`, as `torchWeights` gives them */
export function torchFiles(
  source: string,
  files: readonly string[],
): { readonly files: readonly MadeFile[]; readonly total: number } {
  const entries = [...torchTensors(files)].map(([name, ref]) => ({ name, ...ref }));
  return {
    total: entries.reduce((sum, { length }) => sum + length, 0),
    files: [
      madeWeights(SINGLE, entries, bytesAt),
      ...filesBesideWeights(sourceFolder(source)).map(([name, path]) => ({
        name,
        bytes: () => bytesAt({ file: path }),
      })),
    ],
  };
}

/** Of a tensor, or of a file as it stands. */
function* bytesAt({
  file,
  offset = 0,
  length,
}: Pick<TensorRef, 'file'> & Partial<TensorRef>): Generator<Uint8Array> {
  const reader = new BoundedReader(file);
  try {
    yield* reader.chunks(offset, length ?? reader.size);
  } finally {
    reader.close();
  }
}
