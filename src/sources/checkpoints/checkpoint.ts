// A Hugging Face folder as one thing: config, every tensor by name, and the files they lie in.

import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { fileIdentity } from '../bounded-reader.ts';
import { asObject, readJsonObject } from '../strict-json.ts';
import {
  fileIn,
  linkToNothing,
  namesIn,
  refuseStrangeName,
  type SourceFolder,
  shownIn,
  sourceFolder,
} from './folder.ts';
import { checkpoints, innerModels } from './inner-models.ts';
import { insteadOfWeights } from './no-weights.ts';
import { sameValues } from './read.ts';
import { readSafetensorsHeader, shown } from './safetensors.ts';

export const INDEX = 'model.safetensors.index.json';
export const SINGLE = 'model.safetensors';
const MAX_SHARDS = 10_000;

interface SourceFile {
  readonly name: string;
  /** Real absolute path, no link. */
  readonly path: string;
  readonly size: number;
  /** Device, inode, size, modification time. */
  readonly identity: string;
}

export interface Checkpoint {
  /** Real absolute path. */
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** By name: other places that hold the same tensor, and must go on doing so in whatever is written. */
  readonly copies?: ReadonlyMap<string, readonly TensorRef[]>;
  /** The weights' files (shards in order of name), then config.json and the index if there is one. */
  readonly files: readonly SourceFile[];
  /** `__metadata__` of the first weights' file. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Reads config and headers, no weights. Throws `missing-file`, `bad-file`, `unsupported`, each naming the file. */
export function openCheckpoint(given: string): Checkpoint {
  const folder = sourceFolder(given);
  const config = fileIn(folder, 'config.json');
  if (config === undefined) throw noConfig(folder);
  const small = [jsonFile('config.json', config)];
  const single = fileIn(folder, SINGLE);
  const index = single === undefined ? fileIn(folder, INDEX) : undefined;
  if (single === undefined && index === undefined) throw noWeights(folder);
  const map = index === undefined ? undefined : readIndex(index, shownIn(folder, INDEX));
  if (index !== undefined) small.push(jsonFile(INDEX, index));
  const shards = map === undefined ? [SINGLE] : [...new Set(map.values())].sort();
  const tensors = new Map<string, TensorRef>();
  const copies = new Map<string, readonly TensorRef[]>();
  const files: SourceFile[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const shard of shards) {
    const name = shownIn(folder, shard);
    const path = fileIn(folder, shard);
    if (path === undefined) throw noShard(folder, shards, shard);
    const header = readSafetensorsHeader(path, name);
    if (files.length === 0) metadata = header.metadata;
    files.push({ name: shard, path, size: header.size, identity: header.identity });
    for (const [tensor, ref] of header.tensors) {
      const earlier = tensors.get(tensor);
      if (earlier) copies.set(tensor, [...(copies.get(tensor) ?? []), sameOrThrow(tensor, earlier, ref)]);
      tensors.set(tensor, ref);
    }
  }
  for (const [tensor, shard] of map ?? [])
    if (!tensors.has(tensor))
      throw new WhorlError(
        'bad-file',
        `${shownIn(folder, INDEX)} says ${shown(tensor)} is in ${shown(shard)}, but it is in no shard`,
        'download the shards again; if the model needs no such tensor, take it out of the index',
      );
  const read = readJsonObject(config, shownIn(folder, 'config.json'));
  return { folder: folder.path, config: read, tensors, copies, files: [...files, ...small], metadata };
}

/** @param shard the first that is not there */
function noShard(folder: SourceFolder, shards: readonly string[], shard: string): WhorlError {
  const missing = shards.filter((name) => fileIn(folder, name) === undefined).length;
  const first = `${shownIn(folder, shard)} is named in ${INDEX} but is not there`;
  return missing === 1
    ? new WhorlError('missing-file', first, 'download it')
    : new WhorlError('missing-file', `${first}, as ${missing} of ${shards.length} shards`, 'download them');
}

/** A tensor that stands in two shards: transformers takes the last by the shard's name, whatever the index says. */
function sameOrThrow(tensor: string, earlier: TensorRef, last: TensorRef): TensorRef {
  if (String(earlier.shape) === String(last.shape) && sameValues(earlier, last)) return earlier;
  throw new WhorlError(
    'bad-file',
    `tensor ${shown(tensor)} stands in two shards with different values: ${earlier.file} and ${last.file}`,
    'transformers takes the latter; take it out of the other one, or download both again',
  );
}

/** Throws `changed` when a file is no longer the one that was opened. Call before a run and after the last. */
export function assertUnchanged(checkpoint: Checkpoint): void {
  for (const file of checkpoint.files)
    if (fileIdentity(file.path) !== file.identity)
      throw new WhorlError(
        'changed',
        `${file.path} changed while it was in use`,
        'start again with files that stay',
      );
}

/** One string that changes whenever any file of the checkpoint is replaced or written to. */
export const checkpointIdentity = (checkpoint: Checkpoint): string =>
  JSON.stringify(checkpoint.files.map((file) => [file.name, file.identity]));

/** The tensor, or `mismatch` naming it. */
function tensorOf(checkpoint: Checkpoint, name: string): TensorRef {
  const ref = checkpoint.tensors.get(name);
  if (ref === undefined)
    throw new WhorlError(
      'mismatch',
      `${checkpoint.folder} has no tensor ${shown(name)}`,
      'its config.json does not fit',
    );
  return ref;
}

/** Everywhere that the tensor stands. Throws `mismatch` naming it where it does not. */
export const placesOf = (checkpoint: Checkpoint, name: string): readonly TensorRef[] => [
  tensorOf(checkpoint, name),
  ...(checkpoint.copies?.get(name) ?? []),
];

function jsonFile(name: string, path: string): SourceFile {
  const identity = fileIdentity(path);
  if (identity === undefined) throw new WhorlError('changed', `${path} went away while it was opened`);
  return { name, path, size: Number(identity.split(':')[2]), identity };
}

/**
 * The deepest real folder that all weights lie in, which the engine wants as theirs: the checkpoint's own, or for a
 * snapshot of the hub cache, whose files are links, the one that holds the blobs.
 */
export function weightsFolder(checkpoint: Checkpoint): string {
  const folders = [...new Set([...checkpoint.tensors.values()].map(({ file }) => dirname(file)))];
  if (folders.length === 0) return checkpoint.folder;
  const parts = folders.map((folder) => folder.split(sep));
  const first = parts[0]!;
  const differs = first.findIndex((part, i) => parts.some((other) => other[i] !== part));
  return first.slice(0, differs < 0 ? first.length : differs).join(sep) || sep;
}

/** What each tensor's file is, by the index of shards. Throws `bad-file` for a name that is none. */
export function readIndex(path: string, name: string): ReadonlyMap<string, string> {
  const entries = Object.entries(asObject(readJsonObject(path, name).weight_map, `${name}: weight_map`));
  if (entries.length === 0) throw new WhorlError('bad-file', `${name}: weight_map is empty`);
  const shards = new Set<string>();
  const map = new Map<string, string>();
  for (const [tensor, shard] of entries) {
    if (typeof shard !== 'string')
      throw new WhorlError('bad-file', `${name}: weight_map ${shown(tensor)} is not a file name`);
    const plain = shard.replace(/^(\.\/+)+/, '');
    map.set(tensor, plain);
    if (shards.has(plain)) continue;
    refuseStrangeName(plain, name);
    if (!plain.endsWith('.safetensors'))
      throw new WhorlError(
        'unsupported',
        `${name} names ${shown(shard)}`,
        'Whorl reads weights from .safetensors only',
      );
    shards.add(plain);
  }
  if (shards.size > MAX_SHARDS) throw new WhorlError('bad-file', `${name} names ${shards.size} shards`);
  return map;
}

/** What stands there before what lies deeper; a lone file of a tokenizer or weights says which download was not whole. */
function noConfig(folder: SourceFolder): WhorlError {
  const names = namesIn(folder);
  const instead =
    insteadOfWeights(names, folder.given, { hasConfig: false }) ??
    innerModels(folder) ??
    brokenLink(folder, names);
  if (instead) return instead;
  const weights = names.find((name) => /\.(safetensors|bin|pth?)(\.index\.json)?$/.test(name));
  const has = weights ?? names.find((name) => /^(tokenizer|vocab|spiece)\b/.test(name));
  return new WhorlError(
    'missing-file',
    `${folder.given} has ${has === undefined ? '' : `${shown(has)} and `}no config.json`,
    has === undefined
      ? 'give a Hugging Face model folder or a .gguf file'
      : `download config.json${weights === undefined ? ' and the weights' : ''} from the repository that it is of`,
  );
}

function noWeights(folder: SourceFolder): WhorlError {
  const names = namesIn(folder);
  return (
    checkpoints(folder, names) ??
    insteadOfWeights(names, folder.given) ??
    new WhorlError(
      'missing-file',
      `${folder.given} has a config.json and no weights: neither ${SINGLE} nor ${INDEX}`,
      'download the weights',
    )
  );
}

/** In a snapshot of the hub's cache whose blobs went away. */
function brokenLink(folder: SourceFolder, names: readonly string[]): WhorlError | undefined {
  const name = names.find((name) => !existsSync(join(folder.path, name)));
  if (name === undefined) return undefined;
  return linkToNothing(shownIn(folder, name));
}
