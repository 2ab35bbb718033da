// A model whose linear layers are whole numbers of 8 or 4 bits, made once from its weights into the cache: what
// `--precision int8|int4` computes with. Embedding, head, norms and biases stay as the folder has them.

import { join, resolve } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type Packing, packedBlocks } from '../engine/packing.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import { assertUnchanged, SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../sources/checkpoints/safetensors.ts';
import type { SafetensorsEntry } from '../sources/checkpoints/write-safetensors.ts';
import { toFloat32 } from '../tensor/convert.ts';
import { BYTES_PER_ELEMENT, elements, type TensorRef } from '../tensor/tensor.ts';
import type { Decoder } from './family.ts';
import { type MadeFile, type MadeOptions, madeFolder, madeWeights } from './made-folder.ts';
import { type Model, type ModelWeights, weightsDigest } from './model.ts';
import { cacheFolder } from './open-model.ts';
import { packRows } from './quantise-rows.ts';

/** Goes into the cache folder's name: raise it when what is written changes. */
const QUANTISATION = 1;
const CHUNK_ELEMENTS = 1 << 20;
const PACKED = '.packed';
const SCALES = '.scales';

export interface QuantisedOptions extends MadeOptions {
  readonly cacheDir?: string;
}

/** The matrices of a decoder's blocks, and of what reads its source: what goes through `linear` alone. */
export function quantisable({ layer, modules, config, encoder, shapes }: Decoder): ReadonlySet<string> {
  const stacks = [{ layer, modules, layers: config.num_hidden_layers }, ...(encoder ? [encoder] : [])];
  const names = stacks.flatMap((stack) =>
    Array.from({ length: stack.layers }, (_, i) =>
      [...stack.modules.attention, ...stack.modules.mlp].map((name) => `${stack.layer(i)}${name}.weight`),
    ).flat(),
  );
  return new Set(names.filter((name) => shapes.get(name)?.length === 2));
}

/** @throws WhorlError `unsupported` for a family without such layers, `no-space` */
export async function quantisedModel(
  model: Model,
  name: string,
  packing: Packing,
  options: QuantisedOptions = {},
): Promise<ModelWeights> {
  const { decoder } = model;
  const names = quantisable(decoder);
  if (names.size === 0)
    throw new WhorlError(
      'unsupported',
      `${model.source}: a ${decoder.model_type} has no linear layers that are quantised`,
      'leave --precision out',
    );
  const made = `${weightsDigest(model)}-${name}-${packing.block}-v${QUANTISATION}`;
  const folder = join(resolve(options.cacheDir ?? cacheFolder()), 'quantised', made);
  await madeFolder(
    folder,
    SINGLE,
    {
      ...{ from: model.source, phase: 'quantising' },
      files: () => packedFiles(model, names, packing),
      checkUnchanged: () => assertUnchanged(model), // the folder's name says what the weights were
    },
    options,
  );
  const { tensors } = readSafetensorsHeader(join(folder, SINGLE));
  const plain = [...tensors].filter(([tensor]) => !tensor.endsWith(PACKED) && !tensor.endsWith(SCALES));
  const quantised = [...names].map((tensor) => {
    const width = widthOf(decoder, tensor);
    const [packed, scales] = [tensors.get(`${tensor}${PACKED}`)!, tensors.get(`${tensor}${SCALES}`)!];
    return [tensor, { packed, scales, width, ...packing }] as const;
  });
  return { decoder, tensors: new Map(plain), weightsFolder: folder, quantised: new Map(quantised) };
}

/** Elements that one output is a product of. */
function widthOf({ shapes, transposed }: Decoder, name: string): number {
  const [rows, columns] = shapes.get(name) as readonly [number, number];
  return transposed?.(name) ? rows : columns;
}

/** A tensor as it stands or packed, or the scales that packing the one before it gave: each matrix is read once. */
type Entry = SafetensorsEntry &
  (
    | {
        readonly from: TensorRef;
        readonly packs?: { readonly turned: boolean; readonly scales: Uint8Array[] };
      }
    | { readonly scales: Uint8Array[] }
  );

function packedFiles(
  { decoder, tensors }: Model,
  names: ReadonlySet<string>,
  packing: Packing,
): { readonly files: readonly MadeFile[]; readonly total: number } {
  const entries = [...decoder.shapes.keys()].flatMap((name): Entry[] => {
    const from = tensors.get(name)!;
    if (!names.has(name)) return [{ name, dtype: from.dtype, shape: from.shape, from }];
    const width = widthOf(decoder, name);
    const [out, blocks] = [elements(from.shape) / width, packedBlocks(packing, width)];
    const turned = decoder.transposed?.(name) ?? false;
    const shape = [out, blocks, (packing.block * packing.bits) / 8];
    const scales: Uint8Array[] = [];
    return [
      { name: `${name}${PACKED}`, dtype: 'uint8', shape, from, packs: { turned, scales } },
      { name: `${name}${SCALES}`, dtype: 'float32', shape: [out, blocks], scales },
    ];
  });
  const total = entries.reduce(
    (sum, { dtype, shape }) => sum + elements(shape) * BYTES_PER_ELEMENT[dtype],
    0,
  );
  return { total, files: [madeWeights(SINGLE, entries, (entry) => bytesOf(entry, packing))] };
}

function* bytesOf(entry: Entry, packing: Packing): Generator<Uint8Array> {
  if ('scales' in entry) return yield* entry.scales.splice(0);
  const { from, packs } = entry;
  const reader = new BoundedReader(from.file);
  try {
    if (packs === undefined) return yield* reader.chunks(from.offset, from.length);
    for (const { values, width } of rowsOf(reader, from, packs.turned)) {
      const { packed, scales } = packRows(values, width, packing);
      packs.scales.push(scales);
      yield packed;
    }
  } finally {
    reader.close();
  }
}

/** The matrix's rows [out, width], some at a time; one that lies turned is read whole. */
function* rowsOf(
  reader: BoundedReader,
  ref: TensorRef,
  turned: boolean,
): Generator<{ readonly values: Float32Array; readonly width: number }> {
  const dtype = floatDtype(ref);
  const [rows, columns] = ref.shape as readonly [number, number];
  const rowLength = columns * BYTES_PER_ELEMENT[dtype];
  const wanted = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns)) * rowLength;
  if (!turned) {
    for (const bytes of reader.chunks(ref.offset, ref.length, wanted))
      yield { values: toFloat32(bytes, dtype), width: columns };
    return;
  }
  const whole = new Float32Array(rows * columns);
  let row = 0;
  for (const bytes of reader.chunks(ref.offset, ref.length, wanted)) {
    const values = toFloat32(bytes, dtype);
    for (let at = 0; at < values.length; at += columns, row++)
      for (let column = 0; column < columns; column++) whole[column * rows + row] = values[at + column]!;
  }
  yield { values: whole, width: rows };
}
