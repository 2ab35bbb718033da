// `whorl merge`: a LoRA adapter added into the weights it belongs to, in the checkpoint's own dtypes.

import { join } from 'node:path';
import { copyFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { openModel } from '../models/open-model.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import { copyCarried, writeFolderOnce } from '../sources/checkpoints/patched-folder.ts';
import { type LoraMap, readPeftAdapter } from '../sources/checkpoints/peft-adapter.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TensorRef } from '../tensor/tensor.ts';

export interface MergeOptions {
  readonly model: string;
  /** A folder in PEFT's format. */
  readonly adapter: string;
  readonly out: string;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface MergeReport {
  readonly out: string;
  /** Names of the tensors that are other ones now. */
  readonly changed: readonly string[];
}

/** @throws WhorlError `mismatch` naming the layer that the model lacks or that has another shape */
export async function mergeAdapter(options: MergeOptions): Promise<MergeReport> {
  const { onEvent = silent } = options;
  const folder = await openModel(options.model, {
    onEvent,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
  });
  const { maps } = readPeftAdapter(options.adapter);
  const changed = new Map(
    maps.map((map) => {
      const name = `${map.module}.weight`;
      checkFits(map, folder.tensors.get(name), options);
      return [name, map];
    }),
  );
  onEvent({ kind: 'phase', name: 'merging', detail: `${changed.size} of ${folder.tensors.size} tensors` });
  await writeFolderOnce(options.out, (out) => {
    const entries = [...folder.tensors].map(([name, ref]) => ({
      name,
      dtype: floatDtype(ref),
      shape: ref.shape,
      ref,
    }));
    writeSafetensors(join(out, 'model.safetensors'), entries, function* ({ name, dtype, ref }) {
      const map = changed.get(name);
      if (map) return yield fromFloat32(merged(ref, map), dtype);
      const reader = new BoundedReader(ref.file);
      try {
        yield* reader.chunks(ref.offset, ref.length);
      } finally {
        reader.close();
      }
    });
    copyFileAtomic(join(folder.folder, 'config.json'), join(out, 'config.json'));
    copyCarried(folder.folder, out);
  });
  return { out: options.out, changed: [...changed.keys()] };
}

function checkFits(
  { module, A, B }: LoraMap,
  ref: TensorRef | undefined,
  { model, adapter }: MergeOptions,
): void {
  if (!ref)
    throw new WhorlError(
      'mismatch',
      `${adapter}: ${module} is no layer of ${model}`,
      'give the model that the adapter was trained on',
    );
  const shape = [B.shape[0], A.shape[1]];
  if (String(ref.shape) !== String(shape))
    throw new WhorlError(
      'mismatch',
      `${adapter}: the map on ${module} is for [${shape}], the weight is [${ref.shape}]`,
      'give the model that the adapter was trained on',
    );
}

/** W + scale·B·A, float32 [out, in]; each sum over ranks in double. */
function merged(ref: TensorRef, { A, B, scale }: LoraMap): Float32Array {
  const { data } = readTensor(ref);
  const [rank, width] = A.shape as readonly [number, number];
  const out = B.shape[0]!;
  const row = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const b = B.data[o * rank + r]!;
      for (let i = 0; i < width; i++) row[i]! += b * A.data[r * width + i]!;
    }
    for (let i = 0; i < width; i++) data[o * width + i]! += scale * row[i]!;
  }
  return data;
}
