// Import of the paper's `instruction_emb.pt`: the module's tensors to safetensors, its trained token ids and what
// the tensors say about themselves to JSON. Nothing of the file is run (sources/checkpoints/torch-file.ts).

import { join } from 'node:path';
import { abortable } from '../../base/abort.ts';
import { checkNew, writeFolderAtomic, writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { SOFTWARE } from '../../base/software.ts';
import { type AdapterLooks, looksOf } from '../../models/paper-adapter.ts';
import type { ImportOptions } from '../../runs/import-output.ts';
import { BoundedReader, withReader } from '../../sources/bounded-reader.ts';
import { digestFile } from '../../sources/checkpoints/digest.ts';
import { ADAPTER_TENSORS, readPaperAdapter } from '../../sources/checkpoints/paper-adapter.ts';
import { writeSafetensors } from '../../sources/checkpoints/write-safetensors.ts';
import type { TensorRef } from '../../tensor/tensor.ts';

export interface ImportedAdapter extends AdapterLooks {
  readonly out: string;
  readonly vocabulary: number;
  readonly width: number;
  readonly dim: number;
  /** Ids of the trainable rows; null where the file is a bare state_dict, which does not have them. */
  readonly token_ids: readonly number[] | null;
}

/** Converts `file` into the new private folder `out`. Throws `bad-file`, `unsupported`, `exists`, `missing-file`. */
export function importAdapter(
  file: string,
  out: string,
  options: ImportOptions = {},
): Promise<ImportedAdapter> {
  return abortable(options, () => converted(file, out));
}

/** What `importAdapter` would say of it; nothing is written. Throws as it does. */
export const planAdapter = (file: string, out: string): ImportedAdapter => readAdapter(file, out).report;

function readAdapter(file: string, out: string) {
  checkNew(out);
  const identity = withReader(file, (reader) => reader.identity);
  const adapter = readPaperAdapter(file);
  const { tensors, sizes, token_ids } = adapter;
  const report: ImportedAdapter = {
    out,
    vocabulary: sizes.V!,
    width: sizes.E!,
    dim: sizes.D!,
    token_ids,
    ...looksOf(adapter),
  };
  return { identity, tensors, report };
}

async function converted(file: string, out: string): Promise<ImportedAdapter> {
  const { identity, tensors, report } = readAdapter(file, out);
  const entries = ADAPTER_TENSORS.map((name) => ({ name, ...tensors[name] }));
  const source = { file, sha256: digestFile(file) };
  await writeFolderAtomic(
    out,
    async (folder) => {
      await writeSafetensors(
        join(folder, 'adapter.safetensors'),
        entries,
        ({ name }) => streamed(tensors[name], identity),
        { format: 'pt', source: source.sha256 },
      );
      const { out: _, ...told } = report;
      writeJsonAtomic(
        join(folder, 'adapter.json'),
        { format: 'whorl-imported-adapter', version: 1, software: SOFTWARE, source, ...told },
        0o600,
      );
    },
    0o700,
  );
  return report;
}

function* streamed({ file, offset, length }: TensorRef, identity: string): Generator<Uint8Array> {
  const reader = new BoundedReader(file);
  try {
    if (reader.identity !== identity)
      throw new WhorlError('changed', `${file} changed while it was read`, 'import it again');
    yield* reader.chunks(offset, length);
  } finally {
    reader.close();
  }
}
