// A GGUF file dequantised into a Hugging Face folder, under Hugging Face's names and in its order of rows.

import { basename, join } from 'node:path';
import { writeFileAtomic, writeFolderOnce, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { BoundedReader, withReader } from '../sources/bounded-reader.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { dequantize } from '../sources/checkpoints/gguf-blocks.ts';
import { type PartTensor, readGgufParts } from '../sources/checkpoints/gguf-parts.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { elements, type FloatDtype } from '../tensor/tensor.ts';
import { tokenizerFilesFromGguf } from '../text/gguf-tokenizer.ts';
import { ggufConfigText } from './config-text.ts';
import { GGUF_FAMILIES } from './families/gguf.ts';
import { ggufConfig, ggufWeights } from './gguf-model.ts';
import { orderedRows } from './gguf-rows.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const CONVERSION = 4;

/**
 * Writes the model of a GGUF file, or of all its parts, as a Hugging Face folder, weights in `dtype`, some rows at a time.
 * `name` is what messages call it.
 */
export async function convertGguf(
  parts: readonly string[],
  name: string,
  folder: string,
  dtype: FloatDtype,
  checkUnchanged: () => void,
  onEvent: OnEvent,
): Promise<void> {
  const file = { ...readGgufParts(parts, name), path: name };
  const architecture = file.metadata.get('general.architecture');
  const family = GGUF_FAMILIES.get(String(architecture));
  if (family === undefined)
    throw new WhorlError(
      'unsupported',
      `${name} is a GGUF of architecture ${JSON.stringify(architecture) ?? 'unknown'}`,
      'give the Hugging Face folder; docs/models.md lists what Whorl reads from GGUF',
    );
  const values = (tensor: string) =>
    withReader(file.tensors.get(tensor)!.file, (reader) => valuesOf(reader, file.tensors.get(tensor)!), name);
  const config = { ...ggufConfig(family, file, values), torch_dtype: dtype };
  const entries = ggufWeights(family, file).map((weight) => {
    const tensor = file.tensors.get(weight.from)!;
    return { name: weight.name, dtype, shape: weight.shape, weight, tensor };
  });
  onEvent({ kind: 'phase', name: 'dequantising', detail: `${basename(name)} → ${folder}` });
  const write = async (temporary: string) => {
    const readers = new Map(parts.map((part) => [part, new BoundedReader(part, name)]));
    const total = [...readers.values()].reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    try {
      await writeSafetensors(join(temporary, SINGLE), entries, function* (entry) {
        const { tensor, weight } = entry;
        const decode = (bytes: Uint8Array) => dequantize(tensor.type, bytes);
        for (const values of orderedRows(readers.get(tensor.file)!, tensor, weight, 'hugging-face', decode))
          yield fromFloat32(values, dtype);
        done += tensor.length * (elements(weight.shape) / elements(tensor.shape));
        onEvent({ kind: 'progress', name: 'dequantising', done, total });
      });
    } finally {
      for (const reader of readers.values()) reader.close();
    }
    for (const [fileName, json] of Object.entries(tokenizerFilesFromGguf(Object.fromEntries(file.metadata))))
      writeJsonAtomic(join(temporary, fileName), json);
    writeFileAtomic(join(temporary, 'config.json'), ggufConfigText(family, config));
    checkUnchanged(); // the folder's name says what the file was
  };
  await writeFolderOnce(folder, write);
}

/** A small tensor whole. */
function valuesOf(reader: BoundedReader, tensor: PartTensor): Float32Array {
  reader.position = tensor.offset;
  return dequantize(tensor.type, reader.bytes(tensor.length, tensor.name));
}
