// A Hugging Face folder as one thing: config, every tensor by name, and the files they lie in.

import { dirname, sep } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { fileIdentity } from '../bounded-reader.ts';
import { asObject, readJsonObject } from '../strict-json.ts';
import { fileIn, namesIn, refuseStrangeName, type SourceFolder, shownIn, sourceFolder } from './folder.ts';
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
  const files: SourceFile[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const shard of shards) {
    const name = shownIn(folder, shard);
    const path = fileIn(folder, shard);
    if (path === undefined)
      throw new WhorlError('missing-file', `${name} is named in ${INDEX} but is not there`, 'download it');
    const header = readSafetensorsHeader(path, name);
    if (files.length === 0) metadata = header.metadata;
    files.push({ name: shard, path, size: header.size, identity: header.identity });
    for (const [tensor, ref] of header.tensors) {
      if (tensors.has(tensor))
        throw new WhorlError('bad-file', `${name}: tensor ${shown(tensor)} stands in two shards`);
      if (map !== undefined && map.get(tensor) !== shard)
        throw new WhorlError(
          'bad-file',
          `${name} holds tensor ${shown(tensor)}, which ${INDEX} does not say`,
        );
      tensors.set(tensor, ref);
    }
  }
  for (const [tensor, shard] of map ?? [])
    if (!tensors.has(tensor))
      throw new WhorlError('bad-file', `${INDEX} says ${shown(tensor)} is in ${shown(shard)}, but it is not`);
  const read = readJsonObject(config, shownIn(folder, 'config.json'));
  return { folder: folder.path, config: read, tensors, files: [...files, ...small], metadata };
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
export function tensorOf(checkpoint: Checkpoint, name: string): TensorRef {
  const ref = checkpoint.tensors.get(name);
  if (ref === undefined)
    throw new WhorlError(
      'mismatch',
      `${checkpoint.folder} has no tensor ${shown(name)}`,
      'its config.json does not fit',
    );
  return ref;
}

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
  for (const [tensor, shard] of entries) {
    if (typeof shard !== 'string')
      throw new WhorlError('bad-file', `${name}: weight_map ${shown(tensor)} is not a file name`);
    if (shards.has(shard)) continue;
    refuseStrangeName(shard, name);
    if (!shard.endsWith('.safetensors'))
      throw new WhorlError(
        'unsupported',
        `${name} names ${shown(shard)}`,
        'Whorl reads weights from .safetensors only',
      );
    shards.add(shard);
  }
  if (shards.size > MAX_SHARDS) throw new WhorlError('bad-file', `${name} names ${shards.size} shards`);
  return new Map(entries as [string, string][]);
}

function noConfig(folder: SourceFolder): WhorlError {
  const names = namesIn(folder);
  const gguf = names.find((name) => name.endsWith('.gguf'));
  const fix =
    gguf !== undefined
      ? `give the file itself: ${shownIn(folder, gguf)}`
      : names.includes('published')
        ? `give the model inside: ${shownIn(folder, 'published')}`
        : 'give a Hugging Face model folder or a .gguf file';
  return new WhorlError('missing-file', `${folder.given} has no config.json`, fix);
}

function noWeights(folder: SourceFolder): WhorlError {
  const names = namesIn(folder);
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle !== undefined)
    return new WhorlError(
      'unsupported',
      `${folder.given} has its weights as ${pickle}, which can run code`,
      'fetch the safetensors revision, or save it with transformers (safe_serialization=True)',
    );
  return new WhorlError(
    'missing-file',
    `${folder.given} has neither ${SINGLE} nor ${INDEX}`,
    'download the weights',
  );
}
