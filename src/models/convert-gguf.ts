// A GGUF file dequantised into a Hugging Face folder, under Hugging Face's names and in its order of rows.

import { WhorlError } from '../base/error.ts';
import { BoundedReader, withReader } from '../sources/bounded-reader.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { dequantize } from '../sources/checkpoints/gguf-blocks.ts';
import { type PartTensor, readGgufParts } from '../sources/checkpoints/gguf-parts.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { BYTES_PER_ELEMENT, elements, type FloatDtype } from '../tensor/tensor.ts';
import { tokenizerFilesFromGguf } from '../text/gguf-tokenizer.ts';
import { ggufConfigText } from './config-text.ts';
import { ggufFamilyOf } from './families/gguf.ts';
import { ggufConfig, ggufWeights } from './gguf-model.ts';
import { orderedRows } from './gguf-rows.ts';
import { type MadeFile, madeJson, madeText, madeWeights } from './made-folder.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const CONVERSION = 4;

/**
 * The Hugging Face folder that a GGUF file, or all its parts, become, weights in `dtype`, some rows at a time.
 * @param name what messages call it
 */
export function ggufFiles(
  parts: readonly string[],
  name: string,
  dtype: FloatDtype,
): { readonly files: readonly MadeFile[]; readonly total: number } {
  const file = { ...readGgufParts(parts, name), path: name };
  const architecture = file.metadata.get('general.architecture');
  const family = ggufFamilyOf(file.metadata);
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
  const beside = tokenizerFilesFromGguf(Object.fromEntries(file.metadata));
  return {
    total: entries.reduce((sum, { shape }) => sum + elements(shape) * BYTES_PER_ELEMENT[dtype], 0),
    files: [
      madeWeights(SINGLE, entries, function* ({ tensor, weight }) {
        const decode = (bytes: Uint8Array) => dequantize(tensor.type, bytes);
        const reader = new BoundedReader(tensor.file, name);
        try {
          for (const values of orderedRows(reader, tensor, weight, 'hugging-face', decode))
            yield fromFloat32(values, dtype);
        } finally {
          reader.close();
        }
      }),
      ...Object.entries(beside).map(([fileName, json]) => madeJson(fileName, json)),
      madeText('config.json', ggufConfigText(family, config)),
    ],
  };
}

/** A small tensor whole. */
function valuesOf(reader: BoundedReader, tensor: PartTensor): Float32Array {
  reader.position = tensor.offset;
  return dequantize(tensor.type, reader.bytes(tensor.length, tensor.name));
}
