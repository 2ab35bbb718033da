// A GGUF file dequantised into a Hugging Face folder, under Hugging Face's names and in its order of rows.

import { basename, join } from 'node:path';
import { writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { BoundedReader, withReader } from '../sources/bounded-reader.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { type GgufTensor, readGguf } from '../sources/checkpoints/gguf.ts';
import { BLOCKS, dequantize } from '../sources/checkpoints/gguf-blocks.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { tokenizerFilesFromGguf } from '../text/gguf-tokenizer.ts';
import { GGUF_FAMILIES } from './families/index.ts';
import type { GgufWeight } from './gguf-family.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const CONVERSION = 3;
const CHUNK_ELEMENTS = 1 << 20; // 4 MB of float32 at a time, however large the tensor

/** Writes the model of a GGUF file as a Hugging Face folder, weights in `dtype`, some rows at a time. */
export async function convertGguf(
  source: string,
  name: string,
  folder: string,
  dtype: FloatDtype,
  onEvent: OnEvent,
): Promise<void> {
  const file = { ...readGguf(source, name), path: name };
  const architecture = file.metadata.get('general.architecture');
  const family = GGUF_FAMILIES.get(String(architecture));
  if (family === undefined)
    throw new WhorlError(
      'unsupported',
      `${name} is a GGUF of architecture ${JSON.stringify(architecture) ?? 'unknown'}`,
      `Whorl reads ${[...GGUF_FAMILIES.keys()].join(', ')} from GGUF; give the Hugging Face folder`,
    );
  const values = (tensor: string) =>
    withReader(source, (reader) => valuesOf(reader, file.tensors.get(tensor)!), name);
  const config = { ...family.config(file, values), torch_dtype: dtype };
  const entries = family.weights(file).map((weight) => {
    const tensor = file.tensors.get(weight.from)!;
    return { name: weight.name, dtype, shape: tensor.shape, weight, tensor };
  });
  onEvent({ kind: 'phase', name: 'dequantising', detail: `${basename(name)} → ${folder}` });
  const write = (temporary: string) => {
    const reader = new BoundedReader(source, name);
    let done = 0;
    try {
      writeSafetensors(join(temporary, SINGLE), entries, function* (entry) {
        yield* dequantised(reader, entry.tensor, entry.weight, dtype);
        done += entry.tensor.length;
        onEvent({ kind: 'progress', name: 'dequantising', done, total: reader.size });
      });
    } finally {
      reader.close();
    }
    for (const [fileName, json] of Object.entries(tokenizerFilesFromGguf(Object.fromEntries(file.metadata))))
      writeJsonAtomic(join(temporary, fileName), json);
    writeJsonAtomic(join(temporary, 'config.json'), config);
  };
  try {
    await writeFolderAtomic(folder, write);
  } catch (cause) {
    // Another process made the same folder meanwhile: what counts is that it is there.
    if (!(cause instanceof WhorlError && cause.code === 'exists')) throw cause;
  }
}

/** A small tensor whole. */
function valuesOf(reader: BoundedReader, tensor: GgufTensor): Float32Array {
  reader.position = tensor.offset;
  return dequantize(tensor.type, reader.bytes(tensor.length, tensor.name));
}

/** The tensor's bytes in `dtype` and in Hugging Face's order of rows, some rows at a time. */
function* dequantised(
  reader: BoundedReader,
  tensor: GgufTensor,
  weight: GgufWeight,
  dtype: FloatDtype,
): Generator<Uint8Array> {
  const block = BLOCKS[tensor.type];
  if (tensor.shape.length === 1 && weight.headDim !== undefined) {
    // A bias: rows of one element, which blocks cross.
    yield fromFloat32(deinterleave(valuesOf(reader, tensor), 1, weight.headDim), dtype);
    return;
  }
  const columns = tensor.shape.at(-1)!;
  const rowLength = (columns / block.elements) * block.bytes;
  const group = rowLength * (weight.headDim ?? 1);
  const wanted = Math.max(1, Math.floor(CHUNK_ELEMENTS / (columns * (weight.headDim ?? 1))));
  for (const bytes of reader.chunks(tensor.offset, tensor.length, wanted * group)) {
    const values = dequantize(tensor.type, bytes);
    yield fromFloat32(
      weight.headDim === undefined ? values : deinterleave(values, columns, weight.headDim),
      dtype,
    );
  }
}

/** Row `2i + j` of each head goes to row `j · headDim/2 + i`. [rows, columns] row-major */
function deinterleave(values: Float32Array, columns: number, headDim: number): Float32Array {
  const out = new Float32Array(values.length);
  const half = headDim / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const [head, within] = [row - (row % headDim), row % headDim];
    const to = head + (within % 2) * half + (within >> 1);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}
