// A model folder written anew because tensors have other shapes, or there are more of them: the same files by name, every
// other tensor with its own bytes, an index that fits.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  copyFileAtomic,
  makeFolder,
  writeFileAtomic,
  writeFolderAtomic,
  writeJsonAtomic,
} from '../../base/atomic.ts';
import { type Dtype, elements, type TensorRef } from '../../tensor/tensor.ts';
import { BoundedReader } from '../bounded-reader.ts';
import { changedJsonText } from '../rows/python-json.ts';
import { readJsonObject } from '../strict-json.ts';
import { carriedFrom } from './carried.ts';
import { assertUnchanged, type Checkpoint, INDEX, placesOf } from './checkpoint.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import { type SafetensorsEntry, writeSafetensors } from './write-safetensors.ts';

/** A tensor as it is to be; its bytes when its turn comes. */
interface NewTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  bytes(dtype: Dtype): Uint8Array;
}

interface Rewriting {
  /** By name, of tensors that the folder has and such as it has not: those go into the last file. */
  readonly tensors: ReadonlyMap<string, NewTensor>;
  /** Keys of config.json that have other values. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Files that go with the model, by name, in place of its own. */
  readonly beside: ReadonlyMap<string, string>;
}

/** At every moment `out` is absent or complete. Throws `exists`, `changed`. */
export const writeRewrittenFolder = (base: Checkpoint, out: string, rewriting: Rewriting): Promise<void> =>
  writeFolderAtomic(out, (folder) => rewrite(base, folder, rewriting));

interface Entry extends SafetensorsEntry {
  readonly ref?: TensorRef;
  readonly instead?: NewTensor | undefined;
}

async function rewrite(
  base: Checkpoint,
  folder: string,
  { tensors, config, beside }: Rewriting,
): Promise<void> {
  const place = ({ file, offset }: TensorRef): string => `${offset} ${file}`;
  const byPlace = new Map(
    [...tensors].flatMap(([name, tensor]) =>
      base.tensors.has(name) ? placesOf(base, name).map((ref) => [place(ref), tensor] as const) : [],
    ),
  );
  const files = base.files.filter(({ name }) => name.endsWith('.safetensors'));
  const stored = files.map(({ name, path }) => {
    const entries = [...readSafetensorsHeader(path, path).tensors].map(([tensor, ref]): Entry => {
      const instead = tensors.get(tensor) ?? byPlace.get(place(ref));
      return { name: tensor, dtype: ref.dtype, shape: instead?.shape ?? ref.shape, ref, instead };
    });
    return { file: name, path, entries };
  });
  const there = new Set(stored.flatMap(({ entries }) => entries.map(({ name }) => name)));
  const further = [...tensors]
    .filter(([name]) => !there.has(name))
    .map(([name, instead]): Entry => ({ name, dtype: instead.dtype, shape: instead.shape, instead }));
  stored.at(-1)!.entries.push(...further);
  const map: Record<string, string> = {};
  let size = 0;
  for (const { file, path, entries } of stored) {
    const reader = new BoundedReader(path);
    try {
      await writeSafetensors(
        join(folder, file),
        entries,
        function* ({ name, dtype, ref, instead }) {
          map[name] = file;
          for (const chunk of instead ? [instead.bytes(dtype)] : reader.chunks(ref!.offset, ref!.length)) {
            size += chunk.length;
            yield chunk;
          }
        },
        Object.fromEntries(base.metadata),
      );
    } finally {
      reader.close();
    }
  }
  for (const { name, path } of base.files) {
    if (name.endsWith('.safetensors')) continue;
    const old = readJsonObject(path, path); // judged before it is changed as text
    if (name === INDEX)
      writeJsonAtomic(join(folder, name), {
        ...old,
        ...{ metadata: { ...totals(old.metadata, stored), total_size: size }, weight_map: map },
      });
    else writeFileAtomic(join(folder, name), changedJsonText(readFileSync(path, 'utf8'), config));
  }
  for (const [name, path] of new Map([...carriedFrom(base).files, ...beside])) {
    makeFolder(dirname(join(folder, name)));
    copyFileAtomic(path, join(folder, name));
  }
  assertUnchanged(base);
}

/** An index's metadata, with the count of parameters as it is now where it had one (transformers 5 writes it). */
function totals(
  metadata: unknown,
  stored: readonly { readonly entries: readonly Entry[] }[],
): Readonly<Record<string, unknown>> {
  if (typeof metadata !== 'object' || metadata === null) return {};
  if (!('total_parameters' in metadata)) return { ...metadata };
  const all = stored.flatMap(({ entries }) => entries.map(({ shape }) => elements(shape)));
  return { ...metadata, total_parameters: all.reduce((a, b) => a + b, 0) };
}
