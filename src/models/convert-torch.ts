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
        bytes: () => wholeFile(path),
      })),
    ],
  };
}

function* bytesAt({
  file,
  offset,
  length,
}: Pick<TensorRef, 'file' | 'offset' | 'length'>): Generator<Uint8Array> {
  const reader = new BoundedReader(file);
  try {
    yield* reader.chunks(offset, length);
  } finally {
    reader.close();
  }
}

/** A file as it stands. */
function* wholeFile(path: string): Generator<Uint8Array> {
  const reader = new BoundedReader(path);
  try {
    yield* reader.chunks(0, reader.size);
  } finally {
    reader.close();
  }
}
