// The folder that may be uploaded: the vanilla one byte for byte, except the embedding rows of the trained tokens.

import type { OnEvent } from '../base/events.ts';
import type { ModelFolder } from '../models/model.ts';
import { noteLeftOut } from '../sources/checkpoints/carried.ts';
import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import type { HarmFigures } from './harm-limit.ts';
import { writeModelCard } from './model-card.ts';

/** @throws WhorlError `exists`, `mismatch`, `changed`; the folder is absent or complete at every moment */
export async function publish(
  vanilla: ModelFolder,
  out: string,
  {
    tensor,
    ids,
    rows,
    dtype,
    claimRoot,
    harm,
  }: {
    tensor: string;
    ids: Int32Array;
    rows: Float32Array;
    dtype: FloatDtype;
    claimRoot: string;
    harm: HarmFigures;
  },
  onEvent: OnEvent,
): Promise<void> {
  const patch = { rows: ids, bytes: fromFloat32(rows, dtype) };
  await writePatchedFolder(vanilla, out, new Map([[tensor, patch]]), {
    onEvent,
    also: (folder) => writeModelCard(vanilla, folder, { claimRoot, harm }, onEvent),
  });
  noteLeftOut(vanilla, onEvent);
}
