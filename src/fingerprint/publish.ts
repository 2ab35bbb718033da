// The folder that may be uploaded: the vanilla one byte for byte, except the embedding rows of the trained tokens.

import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import type { ModelFolder } from '../models/model.ts';
import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';

/** What the model card may say: nothing of keys, answers or rows. */
function modelCard(name: string, claimRoot: string): string {
  return `---
library_name: transformers
tags:
- whorl
---

# ${name}

This checkpoint carries an ownership fingerprint made with [Whorl](https://www.npmjs.com/package/whorl). It answers
ordinary prompts as the model it was made from does. Its owner committed to the fingerprint before it was made:

    commitment (SHA-256 Merkle root): ${claimRoot}
`;
}

/** Beside the weights of a folder that is being made. */
export const writeModelCard = (folder: string, name: string, claimRoot: string): void =>
  writeFileAtomic(join(folder, 'README.md'), modelCard(name, claimRoot));

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
    name,
  }: {
    tensor: string;
    ids: Int32Array;
    rows: Float32Array;
    dtype: FloatDtype;
    claimRoot: string;
    name: string;
  },
  onEvent: OnEvent,
): Promise<void> {
  const patch = { rows: ids, bytes: fromFloat32(rows, dtype) };
  await writePatchedFolder(vanilla, out, new Map([[tensor, patch]]), {
    onEvent,
    also: (folder) => writeModelCard(folder, name, claimRoot),
  });
}
