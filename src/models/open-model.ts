// "A model" as a user names it: a Hugging Face folder, a hub id, or a GGUF file, which is dequantised once into a
// cache folder named by its content. That folder then *is* the vanilla model wherever bytes are compared.

import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import { fileIdentity, withReader } from '../sources/bounded-reader.ts';
import { filesBesideWeights } from '../sources/checkpoints/carried.ts';
import { type Checkpoint, openCheckpoint } from '../sources/checkpoints/checkpoint.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { isLink, linkToNothing, sourceFolder } from '../sources/checkpoints/folder.ts';
import { looksLikeGguf } from '../sources/checkpoints/gguf.ts';
import { ggufPartNames, ggufParts, wholeGgufs } from '../sources/checkpoints/gguf-parts.ts';
import { ADAPTER_CONFIG } from '../sources/checkpoints/peft-config.ts';
import { torchWeights } from '../sources/checkpoints/torch-folder.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { LOOK_BYTES, lookAlike } from '../sources/look-alike.ts';
import { readJsonObject } from '../sources/strict-json.ts';
import { webAddress } from '../sources/web-address.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { quantised, withoutKeys } from './config.ts';
import { CONVERSION, ggufFiles } from './convert-gguf.ts';
import { TORCH_CONVERSION, torchFiles } from './convert-torch.ts';
import { familyOf } from './families/index.ts';
import { leftOverError, leftOverNote } from './left-over.ts';
import { type MadeOptions, type Making, madeFolder } from './made-folder.ts';
import { bindModel, type Model, type ModelFolder } from './model.ts';
import { withTiedHead } from './tied-head.ts';

/** What a user decides about a config.json. */
export interface ConfigOptions {
  /** Keys that are read as if the file had not got them; `rope_scaling.x` is a field of one. */
  readonly ignoreConfigKeys?: readonly string[];
}

/** Of options that also hold others. */
export const configOptions = ({ ignoreConfigKeys }: ConfigOptions): ConfigOptions =>
  ignoreConfigKeys === undefined ? {} : { ignoreConfigKeys };

export interface OpenModelOptions extends ConfigOptions, MadeOptions {
  /** Default: `WHORL_CACHE`, else `whorl` in the system's cache folder. */
  readonly cacheDir?: string;
  /** What a GGUF is dequantised to; float32 unless said. A folder keeps its own. */
  readonly dtype?: FloatDtype;
  /** An adapter that its caller applies: no word of one that lies in the model's own folder. */
  readonly appliedAdapter?: string;
  /** Whether every tensor of its layers must be what the config speaks of, as for making another model of it; default: a note. */
  readonly whole?: boolean;
  /** Whether a hub model of a family that Whorl cannot run is fetched all the same; default: refused by its config. */
  readonly anyFamily?: boolean;
}

/**
 * Opens a path, or what a hub id names; a path that exists goes first. Throws `missing-file`, `bad-file`,
 * `unsupported`, and `hub`, `unreachable`, `no-space` for a hub id, each naming the file and what to do.
 */
export async function openModel(name: string, options: OpenModelOptions = {}): Promise<Model> {
  const model = bindModel(await openModelFolder(name, options));
  const left = leftOverNote(model);
  if (left !== undefined && options.whole) throw leftOverError(left);
  if (left !== undefined)
    options.onEvent?.({ kind: 'note', text: `${left}: left out, as transformers does` });
  return model;
}

/** The folder alone, for those who do with its tensors what they would with any family's. Throws as `openModel` does. */
export async function openModelFolder(
  name: string,
  options: OpenModelOptions & { readonly anyFamily?: boolean } = {},
): Promise<ModelFolder> {
  if (isThere(name)) return openPath(name, options);
  const { path, pinned } = await fromHub(name, options.anyFamily ?? false, options.onEvent);
  return { ...(await openPath(path, options)), source: pinned };
}

/** Where the model that a name means lies on this machine, fetched from the hub if it is a hub id. */
export async function modelPath(name: string, onEvent?: OnEvent): Promise<string> {
  return isThere(name) ? name : (await fromHub(name, true, onEvent)).path;
}

async function fromHub(
  name: string,
  anyFamily: boolean,
  onEvent: OnEvent = silent,
): Promise<{ path: string; pinned: string }> {
  const address = webAddress(name);
  if (address) throw address;
  const id = parseHubId(name);
  if (id === undefined)
    throw isLink(name)
      ? linkToNothing(name)
      : new WhorlError(
          'missing-file',
          `${name} does not exist`,
          'give a model folder, a .gguf file, or a hub id (org/name)',
        );
  const { fetchModel } = await import('../sources/hub/model-files.ts'); // the client is loaded by those who need it
  return fetchModel(id, { onEvent, ...(!anyFamily && { checkConfig: familyOf }) });
}

async function openPath(path: string, options: OpenModelOptions): Promise<ModelFolder> {
  const source = resolve(path);
  if (statSync(source).isDirectory()) {
    const gguf = onlyGguf(path);
    if (gguf !== undefined) return openPath(join(path, gguf), options);
    const files = torchWeights(path);
    const folder = files.length === 0 ? path : await converted(path, files, options);
    const opened = openFolder(folder, options);
    noteAdapter(path, options);
    return { ...opened, source, ...(folder !== path && { convertedFrom: path }) };
  }
  if (!looksLikeGguf(path)) throw wrongFile(path);
  const parts = ggufParts(source);
  const checkUnchanged = watched(parts, path);
  const sha256 = digestOf(parts);
  const dtype = options.dtype ?? 'float32';
  const folder = join(cacheOf(options), 'gguf', `${sha256}-${dtype}-v${CONVERSION}`);
  const files = () => ggufFiles(parts, path, dtype);
  await inCache(folder, { from: path, phase: 'dequantising', files, checkUnchanged }, options);
  const gguf = { path: source, sha256 };
  return { ...openFolder(folder, options), source, gguf, convertedFrom: dirname(source) };
}

/** transformers lays an adapter that lies beside a model over it; we take no more of a folder than the model. */
function noteAdapter(path: string, { onEvent = silent, appliedAdapter }: OpenModelOptions): void {
  if (!isThere(join(path, ADAPTER_CONFIG))) return;
  if (appliedAdapter !== undefined && resolve(appliedAdapter) === resolve(path)) return;
  onEvent({
    kind: 'note',
    text: `${path} holds an adapter beside the model, which is not applied (transformers would): whorl merge --model ${path} --adapter ${path} --out NEW makes one model of both`,
  });
}

/** The name of a folder's one model, where nothing but a GGUF can be meant; as of a repository of the hub. */
function onlyGguf(path: string): string | undefined {
  const names = readdirSync(path);
  const files = wholeGgufs(names);
  if (files.length !== 1 || names.includes('config.json')) return undefined;
  return names.find((name) => ggufPartNames(name)[0] === files[0]); // of parts any that is there
}

/** The cache's folder for one whose weights are pickles; named by the content of all that goes into it. */
async function converted(
  path: string,
  weights: readonly string[],
  options: OpenModelOptions,
): Promise<string> {
  const source = sourceFolder(path);
  const files = [...weights, ...filesBesideWeights(source).map(([, file]) => file)];
  const checkUnchanged = watched(files, path);
  const named = files.map((file) => `${basename(file)} ${digestFile(file)}\n`).join('');
  const digest = createHash('sha256').update(named).digest('hex');
  const folder = join(cacheOf(options), 'torch', `${digest}-v${TORCH_CONVERSION}`);
  const made = () => torchFiles(path, weights);
  await inCache(folder, { from: path, phase: 'converting', files: made, checkUnchanged }, options);
  return folder;
}

const CANNOT_WRITE: readonly string[] = ['bad-path', 'no-access', 'no-space', 'not-writable'];

const cacheOf = ({ cacheDir }: OpenModelOptions): string => resolve(cacheDir ?? cacheFolder());

/** Makes `folder` unless it is there. What cannot be there is not what the user named: the error says how to name another cache. */
async function inCache(folder: string, making: Making, options: OpenModelOptions): Promise<void> {
  try {
    await madeFolder(folder, 'config.json', making, options);
  } catch (error) {
    if (
      !(error instanceof WhorlError) ||
      !CANNOT_WRITE.includes(error.code) ||
      !error.message.includes(cacheOf(options))
    )
      throw error;
    throw new WhorlError(error.code, error.what, 'name another folder for the cache in WHORL_CACHE', {
      cause: error,
    });
  }
}

/** Takes down what the files are now. @returns what throws `changed` where one of them is another by then */
function watched(files: readonly string[], path: string): () => void {
  const identities = files.map(fileIdentity);
  return () => {
    if (files.some((file, i) => fileIdentity(file) !== identities[i]))
      throw new WhorlError(
        'changed',
        `${path} changed while it was read`,
        'start again with a file that stays',
      );
  };
}

/** sha256 of the file, hex; of several, of their digests as hex, one after the other. */
function digestOf(parts: readonly string[]): string {
  const digests = parts.map(digestFile);
  return digests.length === 1 ? digests[0]! : createHash('sha256').update(digests.join('')).digest('hex');
}

function openFolder(path: string, { ignoreConfigKeys = [] }: ConfigOptions): Omit<ModelFolder, 'source'> {
  const checkpoint = openUnquantised(path);
  const { config, ignored } = withoutKeys(checkpoint.config, ignoreConfigKeys);
  refuseQuantised(config, join(path, 'config.json'));
  return { ...withTiedHead({ ...checkpoint, config }, path), ignoredConfigKeys: ignored };
}

/** `quantization` with its bits is what MLX writes, with weights of its own packing. */
function refuseQuantised(config: Readonly<Record<string, unknown>>, where: string): void {
  const { quantization_config, quantization } = config;
  const mlx = typeof quantization === 'object' && quantization !== null && 'bits' in quantization;
  const by = mlx ? { quant_method: 'mlx' } : {};
  if (quantization_config || mlx) throw quantised({ ...by, ...(quantization_config as object) }, where);
}

/** Quantised weights have dtypes and names of their own: what they are says more than the first that is strange. */
function openUnquantised(path: string): Checkpoint {
  try {
    return openCheckpoint(path);
  } catch (error) {
    const config = join(path, 'config.json');
    const json = isThere(config) ? readJsonObject(config, config) : {};
    refuseQuantised(json, config);
    throw error;
  }
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

function wrongFile(path: string): WhorlError {
  const other = withReader(
    path,
    (reader) =>
      lookAlike(reader.bytes(Math.min(LOOK_BYTES, reader.size), 'the first bytes'), path, { anyKind: true }),
    path,
  );
  if (other) return other;
  if (path.endsWith('.safetensors'))
    return new WhorlError('unsupported', `${path} is a single weights file`, 'give the folder it lies in');
  if (path.endsWith('.gguf'))
    return new WhorlError('bad-file', `${path} does not begin with GGUF`, 'fetch it again');
  return new WhorlError(
    'unsupported',
    `${path} is not a model`,
    'give a Hugging Face folder or a .gguf file',
  );
}
