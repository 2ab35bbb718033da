// "A model" as a user names it: a Hugging Face folder, a hub id, or a GGUF file, which is dequantised once into a
// cache folder named by its content. That folder then *is* the vanilla model wherever bytes are compared.

import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import { BoundedReader, fileIdentity, withReader } from '../sources/bounded-reader.ts';
import { type Checkpoint, openCheckpoint, SINGLE } from '../sources/checkpoints/checkpoint.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { type GgufTensor, looksLikeGguf, readGguf } from '../sources/checkpoints/gguf.ts';
import { BLOCKS, dequantize } from '../sources/checkpoints/gguf-blocks.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { tokenizerFilesFromGguf } from '../text/gguf-tokenizer.ts';
import type { GgufFamily, GgufWeight } from './gguf-family.ts';
import { familyOf } from './llama.ts';
import { llamaGguf } from './llama-gguf.ts';

/** Families that we read from GGUF, by `general.architecture`. */
const GGUF_FAMILIES: ReadonlyMap<string, GgufFamily> = new Map([[llamaGguf.architecture, llamaGguf]]);

/** Goes into the cache folder's name: raise it when the conversion's output changes. */
const CONVERSION = 2;
const CHUNK_ELEMENTS = 1 << 20; // 4 MB of float32 at a time, however large the tensor

export interface ModelFolder extends Checkpoint {
  /** What the user named: an absolute path, or `org/name@commit` of the hub. */
  readonly source: string;
  /** Set when the folder was made from a GGUF file. */
  readonly gguf?: { readonly path: string; readonly sha256: string };
}

export interface OpenModelOptions {
  /** Default: `WHORL_CACHE`, else `whorl` in the system's cache folder. */
  readonly cacheDir?: string;
  /** What a GGUF is dequantised to; float32 unless said. A folder keeps its own. */
  readonly dtype?: FloatDtype;
  readonly onEvent?: OnEvent;
  /** Whether a hub model of a family that Whorl cannot run is fetched all the same; default: refused by its config. */
  readonly anyFamily?: boolean;
}

/**
 * Opens a path, or what a hub id names; a path that exists goes first. Throws `missing-file`, `bad-file`,
 * `unsupported`, and `hub`, `unreachable`, `no-space` for a hub id, each naming the file and what to do.
 */
export async function openModel(name: string, options: OpenModelOptions = {}): Promise<ModelFolder> {
  if (isThere(name)) return openPath(name, options);
  const { path, pinned } = await fromHub(name, options.anyFamily ?? false, options.onEvent);
  return { ...(await openPath(path, options)), source: pinned };
}

/** What people call the model: the last part of its path, or of its hub id without the commit. */
export const modelName = ({ source }: Pick<ModelFolder, 'source'>): string =>
  basename(source.replace(/@[0-9a-f]{40}(:.*)?$/, ''));

/** Where the model that a name means lies on this machine, fetched from the hub if it is a hub id. */
export async function modelPath(name: string, onEvent?: OnEvent): Promise<string> {
  return isThere(name) ? name : (await fromHub(name, true, onEvent)).path;
}

async function fromHub(
  name: string,
  anyFamily: boolean,
  onEvent: OnEvent = silent,
): Promise<{ path: string; pinned: string }> {
  const id = parseHubId(name);
  if (id === undefined)
    throw new WhorlError(
      'missing-file',
      `${name} does not exist`,
      'give a model folder, a .gguf file, or a hub id (org/name)',
    );
  const { fetchModel } = await import('../sources/hub/model-files.ts'); // the client is loaded by those who need it
  return fetchModel(id, { onEvent, ...(!anyFamily && { checkConfig: familyOf }) });
}

async function openPath(path: string, options: OpenModelOptions): Promise<ModelFolder> {
  const source = resolve(path);
  if (statSync(source).isDirectory()) return { ...openCheckpoint(path), source };
  if (!looksLikeGguf(path)) throw wrongFile(path);
  const identity = fileIdentity(source);
  const sha256 = digestFile(source);
  const dtype = options.dtype ?? 'float32';
  const cache = options.cacheDir ?? cacheFolder();
  const folder = join(resolve(cache), 'gguf', `${sha256}-${dtype}-v${CONVERSION}`);
  if (statSync(join(folder, 'config.json'), { throwIfNoEntry: false }) === undefined) {
    await convertGguf(source, path, folder, dtype, options.onEvent ?? silent);
    if (fileIdentity(source) !== identity)
      throw new WhorlError(
        'changed',
        `${path} changed while it was read`,
        'start again with a file that stays',
      );
  }
  return { ...openCheckpoint(folder), source, gguf: { path: source, sha256 } };
}

/** Where Whorl keeps what it can make again. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.WHORL_CACHE) return env.WHORL_CACHE;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'whorl');
  if (process.platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'whorl', 'cache');
  return process.platform === 'darwin'
    ? join(homedir(), 'Library', 'Caches', 'whorl')
    : join(homedir(), '.cache', 'whorl');
}

async function convertGguf(
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
    writeJsonAtomic(join(temporary, 'generation_config.json'), generationConfig(config));
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
export function deinterleave(values: Float32Array, columns: number, headDim: number): Float32Array {
  const out = new Float32Array(values.length);
  const half = headDim / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const [head, within] = [row - (row % headDim), row % headDim];
    const to = head + (within % 2) * half + (within >> 1);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

function generationConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = ['bos_token_id', 'eos_token_id', 'pad_token_id'];
  return Object.fromEntries(names.filter((name) => name in config).map((name) => [name, config[name]]));
}

function wrongFile(path: string): WhorlError {
  if (path.endsWith('.safetensors'))
    return new WhorlError('unsupported', `${path} is a single weights file`, 'give the folder it lies in');
  if (path.endsWith('.gguf'))
    return new WhorlError(
      'bad-file',
      `${path} does not begin with GGUF`,
      'fetch it again (is it a Git LFS pointer?)',
    );
  return new WhorlError(
    'unsupported',
    `${path} is not a model`,
    'give a Hugging Face folder or a .gguf file',
  );
}
