// A GGUF file dequantised into a Hugging Face folder, under Hugging Face's names and in its order of rows.

import { basename, join } from 'node:path';
import { writeFolderOnce, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { BoundedReader, withReader } from '../sources/bounded-reader.ts';
import { SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { BLOCKS, dequantize } from '../sources/checkpoints/gguf-blocks.ts';
import { type PartTensor, readGgufParts } from '../sources/checkpoints/gguf-parts.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { tokenizerFilesFromGguf } from '../text/gguf-tokenizer.ts';
import { GGUF_FAMILIES } from './families/gguf.ts';
import { type GgufWeight, ggufConfig, ggufWeights } from './gguf-model.ts';

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
export const CONVERSION = 3;
const CHUNK_ELEMENTS = 1 << 20; // 4 MB of float32 at a time, however large the tensor

/**
 * Writes the model of a GGUF file, or of all its parts, as a Hugging Face folder, weights in `dtype`, some rows at a time.
 * `name` is what messages call it.
 */
export async function convertGguf(
  parts: readonly string[],
  name: string,
  folder: string,
  dtype: FloatDtype,
  onEvent: OnEvent,
): Promise<void> {
  const file = { ...readGgufParts(parts, name), path: name };
  const architecture = file.metadata.get('general.architecture');
  const family = GGUF_FAMILIES.get(String(architecture));
  if (family === undefined)
    throw new WhorlError(
      'unsupported',
      `${name} is a GGUF of architecture ${JSON.stringify(architecture) ?? 'unknown'}`,
      `Whorl reads ${[...GGUF_FAMILIES.keys()].join(', ')} from GGUF; give the Hugging Face folder`,
    );
  const values = (tensor: string) =>
    withReader(file.tensors.get(tensor)!.file, (reader) => valuesOf(reader, file.tensors.get(tensor)!), name);
  const config = { ...ggufConfig(family, file, values), torch_dtype: dtype };
  const entries = ggufWeights(family, file).map((weight) => {
    const tensor = file.tensors.get(weight.from)!;
    return { name: weight.name, dtype, shape: tensor.shape, weight, tensor };
  });
  onEvent({ kind: 'phase', name: 'dequantising', detail: `${basename(name)} → ${folder}` });
  const write = (temporary: string) => {
    const readers = new Map(parts.map((part) => [part, new BoundedReader(part, name)]));
    const total = [...readers.values()].reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    try {
      writeSafetensors(join(temporary, SINGLE), entries, function* (entry) {
        yield* dequantised(readers.get(entry.tensor.file)!, entry.tensor, entry.weight, dtype);
        done += entry.tensor.length;
        onEvent({ kind: 'progress', name: 'dequantising', done, total });
      });
    } finally {
      for (const reader of readers.values()) reader.close();
    }
    for (const [fileName, json] of Object.entries(tokenizerFilesFromGguf(Object.fromEntries(file.metadata))))
      writeJsonAtomic(join(temporary, fileName), json);
    writeJsonAtomic(join(temporary, 'config.json'), config);
  };
  await writeFolderOnce(folder, write);
}

/** A small tensor whole. */
function valuesOf(reader: BoundedReader, tensor: PartTensor): Float32Array {
  reader.position = tensor.offset;
  return dequantize(tensor.type, reader.bytes(tensor.length, tensor.name));
}

/** The tensor's bytes in `dtype`, as Hugging Face has its rows and values, some rows at a time. */
function* dequantised(
  reader: BoundedReader,
  tensor: PartTensor,
  weight: GgufWeight,
  dtype: FloatDtype,
): Generator<Uint8Array> {
  const { runs, headDim = 1, plus = 0 } = weight;
  const finished = (values: Float32Array, columns: number): Uint8Array => {
    const ordered = headDim === 1 ? values : deinterleave(values, columns, headDim);
    return fromFloat32(plus === 0 ? ordered : ordered.map((value) => value + plus), dtype);
  };
  if (tensor.shape.length === 1) {
    // A bias or norm: rows of one element, which blocks cross.
    const values = valuesOf(reader, tensor);
    yield finished(runs === undefined ? values : picked(values, runs), 1);
    return;
  }
  const block = BLOCKS[tensor.type];
  const columns = tensor.shape.at(-1)!;
  const rowLength = (columns / block.elements) * block.bytes;
  const wanted = Math.max(1, Math.floor(CHUNK_ELEMENTS / (columns * headDim))) * headDim * rowLength;
  for (const { first, count } of runs ?? [{ first: 0, count: tensor.length / rowLength }])
    for (const bytes of reader.chunks(tensor.offset + first * rowLength, count * rowLength, wanted))
      yield finished(dequantize(tensor.type, bytes), columns);
}

function picked(values: Float32Array, runs: NonNullable<GgufWeight['runs']>): Float32Array {
  const out = new Float32Array(values.length);
  let at = 0;
  for (const { first, count } of runs) {
    out.set(values.subarray(first, first + count), at);
    at += count;
  }
  return out;
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
