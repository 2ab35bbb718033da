// A folder whose weights are torch's pickles, written anew with the same bytes as safetensors.

import { dirname, join } from 'node:path';
import { AtomicFile, makeFolder, writeFolderOnce } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import { BoundedReader, withReader } from '../sources/bounded-reader.ts';
import { filesBesideWeights } from '../sources/checkpoints/carried.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { sourceFolder } from '../sources/checkpoints/folder.ts';
import { torchTensors } from '../sources/checkpoints/torch-folder.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const TORCH_CONVERSION = 1;

/** @param files the weights of `source`, as `torchWeights` gives them */
export async function convertTorch(
  source: string,
  files: readonly string[],
  out: string,
  checkUnchanged: () => void,
  onEvent: OnEvent,
): Promise<void> {
  const entries = [...torchTensors(files)].map(([name, ref]) => ({ name, ...ref }));
  const total = entries.reduce((sum, { length }) => sum + length, 0);
  onEvent({ kind: 'phase', name: 'converting', detail: `${source} → ${out}` });
  const write = async (temporary: string) => {
    const lie = new Set(entries.map(({ file }) => file));
    const readers = new Map([...lie].map((file) => [file, new BoundedReader(file)]));
    let done = 0;
    try {
      await writeSafetensors(join(temporary, SINGLE), entries, function* ({ file, offset, length }) {
        yield* readers.get(file)!.chunks(offset, length);
        done += length;
        onEvent({ kind: 'progress', name: 'converting', done, total });
      });
    } finally {
      for (const reader of readers.values()) reader.close();
    }
    for (const [name, path] of filesBesideWeights(sourceFolder(source))) copy(path, join(temporary, name));
    checkUnchanged(); // the folder's name says what the files were
  };
  await writeFolderOnce(out, write);
}

/** A file as it stands. */
function copy(from: string, to: string): void {
  makeFolder(dirname(to));
  const file = new AtomicFile(to);
  try {
    withReader(from, (reader) => {
      for (const chunk of reader.chunks(0, reader.size)) file.write(chunk);
    });
    file.commit();
  } finally {
    file.discard();
  }
}
