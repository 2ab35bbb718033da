// Publishing: a copy of a model folder in which nothing differs but the bytes of some rows.

import { dirname, join } from 'node:path';
import { breathe } from '../../base/abort.ts';
import { AtomicFile, makeFolder, writeFolderAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { type OnEvent, silent } from '../../base/events.ts';
import { fromFloat32, toFloat32 } from '../../tensor/convert.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { BoundedReader } from '../bounded-reader.ts';
import { carriedFrom } from './carried.ts';
import { assertUnchanged, type Checkpoint, placesOf } from './checkpoint.ts';
import { floatDtype, rowBytes } from './read.ts';

/** Rows of one matrix: `bytes` holds them one after another in the tensor's own dtype. */
export interface RowPatch {
  readonly rows: ArrayLike<number>;
  readonly bytes: Uint8Array;
}

/**
 * Writes the folder `out`: every weights file, config.json and index of `vanilla` byte for byte except the rows in
 * `patches` (by tensor name), the files that go with it (`carried.ts`), and what `also` writes into the folder it is given.
 * At every moment `out` is absent or complete. Memory stays flat. Throws `exists`, `mismatch`, `changed`.
 */
export async function writePatchedFolder(
  vanilla: Checkpoint,
  out: string,
  patches: ReadonlyMap<string, RowPatch>,
  options: { readonly also?: (folder: string) => Promise<void> | void; readonly onEvent?: OnEvent } = {},
): Promise<void> {
  const edits = [...patches].flatMap(([name, patch]) => {
    const [first, ...copies] = placesOf(vanilla, name);
    const alike = copies.map((ref) => ({ name, patch: inDtypeOf(ref, patch, first!), ref }));
    return [{ name, patch, ref: first! }, ...alike];
  });
  for (const { name, patch, ref } of edits) checkPatch(name, patch, ref);
  const onEvent = options.onEvent ?? silent;
  const total = vanilla.files.reduce((sum, file) => sum + file.size, 0);
  let done = 0;
  await writeFolderAtomic(out, async (folder) => {
    for (const file of vanilla.files) {
      const mine = edits.filter(({ ref }) => ref.file === file.path);
      await copyPatched(file.path, join(folder, file.name), mine, (bytes) => {
        done += bytes;
        onEvent({ kind: 'progress', name: 'copying weights', done, total });
      });
    }
    await copyCarried(vanilla, folder);
    await options.also?.(folder);
    assertUnchanged(vanilla);
  });
}

/**
 * The same where whole tensors are other ones: `replace` gives a tensor's bytes in its own dtype when its turn comes, so
 * that one of them is in memory at a time. Throws `exists`, `mismatch`, `changed`.
 */
export const writeReplacedFolder = (
  vanilla: Checkpoint,
  out: string,
  names: Iterable<string>,
  replace: (name: string, ref: TensorRef) => Uint8Array,
): Promise<void> => writeFolderAtomic(out, (folder) => copyReplaced(vanilla, folder, names, replace));

/** The same where a tensor's bytes come in parts: memory holds one of them. Throws `exists`, `mismatch`, `changed`. */
export const writeStreamedFolder = (
  vanilla: Checkpoint,
  out: string,
  names: Iterable<string>,
  parts: (name: string, ref: TensorRef) => Iterable<Uint8Array>,
): Promise<void> => writeFolderAtomic(out, (folder) => copyStreamed(vanilla, folder, names, parts));

/** The same into a folder that is there and empty. */
export function copyReplaced(
  vanilla: Checkpoint,
  folder: string,
  names: Iterable<string>,
  replace: (name: string, ref: TensorRef) => Uint8Array,
): Promise<void> {
  return copyStreamed(vanilla, folder, names, (name, ref) => [replace(name, ref)]);
}

async function copyStreamed(
  vanilla: Checkpoint,
  folder: string,
  names: Iterable<string>,
  parts: (name: string, ref: TensorRef) => Iterable<Uint8Array>,
): Promise<void> {
  const edits = [...names].flatMap((name) => placesOf(vanilla, name).map((ref) => ({ name, ref })));
  for (const file of vanilla.files) {
    const mine = edits.filter(({ ref }) => ref.file === file.path);
    await copyEdited(file.path, join(folder, file.name), function* () {
      for (const { name, ref } of mine) {
        let at = ref.offset;
        for (const bytes of parts(name, ref)) {
          yield { at, bytes };
          at += bytes.length;
        }
      }
    });
  }
  await copyCarried(vanilla, folder);
  assertUnchanged(vanilla);
}

/** Copies what a published or fine-tuned folder carries over beside config and weights: `carried.ts` says what. */
async function copyCarried(from: Checkpoint, to: string): Promise<void> {
  for (const [name, path] of carriedFrom(from).files) {
    makeFolder(dirname(join(to, name)));
    await copyPatched(path, join(to, name), []);
  }
}

/** The patch for a copy of the tensor, which may be stored in another dtype. */
function inDtypeOf(copy: TensorRef, { rows, bytes }: RowPatch, first: TensorRef): RowPatch {
  if (copy.dtype === first.dtype) return { rows, bytes };
  return { rows, bytes: fromFloat32(toFloat32(bytes, floatDtype(first)), floatDtype(copy)) };
}

function checkPatch(name: string, patch: RowPatch, ref: TensorRef): void {
  const size = rowBytes(ref);
  if (patch.bytes.length !== size * patch.rows.length)
    throw new WhorlError(
      'mismatch',
      `${name}: ${patch.rows.length} rows of ${size} bytes are not ${patch.bytes.length}`,
    );
  for (let i = 0; i < patch.rows.length; i++) {
    const row = patch.rows[i]!;
    if (!Number.isInteger(row) || row < 0 || row >= ref.shape[0]!)
      throw new WhorlError('mismatch', `${name} has no row ${row}: it has ${ref.shape[0]}`);
  }
}

function copyPatched(
  from: string,
  to: string,
  edits: readonly { readonly patch: RowPatch; readonly ref: TensorRef }[],
  copied?: (bytes: number) => void,
): Promise<void> {
  const spans = function* () {
    for (const { patch, ref } of edits) {
      const size = rowBytes(ref);
      for (let i = 0; i < patch.rows.length; i++)
        yield {
          at: ref.offset + patch.rows[i]! * size,
          bytes: patch.bytes.subarray(i * size, (i + 1) * size),
        };
    }
  };
  return copyEdited(from, to, spans, copied);
}

/** A copy of a file in which other bytes stand at some places. */
async function copyEdited(
  from: string,
  to: string,
  spans: () => Iterable<{ readonly at: number; readonly bytes: Uint8Array }>,
  copied: (bytes: number) => void = () => {},
): Promise<void> {
  const file = new AtomicFile(to);
  const reader = new BoundedReader(from);
  try {
    for (const chunk of reader.chunks(0, reader.size)) {
      file.write(chunk);
      copied(chunk.length);
      await breathe();
    }
    for (const { at, bytes } of spans()) {
      file.write(bytes, at);
      await breathe();
    }
    file.commit();
  } finally {
    reader.close();
    file.discard();
  }
}
