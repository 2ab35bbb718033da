// A model folder whose weights are torch's pickles (`pytorch_model.bin`, whole or in shards): every tensor by name, as
// plain data. Nothing of the files is run.

import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { asObject, readJsonObject } from '../strict-json.ts';
import { INDEX, SINGLE } from './checkpoint.ts';
import { fileIn, refuseStrangeName, shownIn, sourceFolder } from './folder.ts';
import { Dict, kindOf } from './pickle.ts';
import { shown } from './safetensors.ts';
import { readTorchFile } from './torch-file.ts';
import { TorchTensor } from './torch-tensor.ts';

const TORCH_SINGLE = 'pytorch_model.bin';
const TORCH_INDEX = 'pytorch_model.bin.index.json';
const MAX_SHARDS = 10_000;

/** The weights' files of a folder that has them as pickles only, in the order of their names; else none. */
export function torchWeights(given: string): readonly string[] {
  const folder = sourceFolder(given);
  if (fileIn(folder, SINGLE) ?? fileIn(folder, INDEX)) return [];
  const single = fileIn(folder, TORCH_SINGLE);
  if (single !== undefined) return [single];
  const index = fileIn(folder, TORCH_INDEX);
  if (index === undefined) return [];
  const name = shownIn(folder, TORCH_INDEX);
  const map = asObject(readJsonObject(index, name).weight_map, `${name}: weight_map`);
  const shards = [...new Set(Object.values(map))].sort();
  if (shards.length === 0 || shards.length > MAX_SHARDS)
    throw new WhorlError('bad-file', `${name} names ${shards.length} shards`);
  return shards.map((shard) => {
    if (typeof shard !== 'string') throw new WhorlError('bad-file', `${name}: weight_map names no file`);
    refuseStrangeName(shard, name);
    const path = fileIn(folder, shard);
    if (path === undefined)
      throw new WhorlError(
        'missing-file',
        `${shownIn(folder, shard)} is named in ${TORCH_INDEX} but is not there`,
        'download it',
      );
    return path;
  });
}

/** Every tensor of these files. @throws WhorlError `bad-file`, `unsupported`, naming file and tensor */
export function torchTensors(files: readonly string[]): ReadonlyMap<string, TensorRef> {
  const tensors = new Map<string, TensorRef>();
  for (const file of files) {
    const value = readTorchFile(file, []);
    if (!(value instanceof Dict))
      throw new WhorlError(
        'unsupported',
        `${file} holds ${kindOf(value)}, not tensors by name`,
        'save a state_dict',
      );
    for (const [name, tensor] of value.entries) {
      if (typeof name !== 'string' || !(tensor instanceof TorchTensor))
        throw new WhorlError(
          'unsupported',
          `${file}: ${shown(String(name))} is ${kindOf(tensor)}, no tensor`,
          'save a state_dict',
        );
      if (tensors.has(name))
        throw new WhorlError('bad-file', `${file}: tensor ${shown(name)} stands in two shards`);
      tensors.set(name, tensor.ref(`${file}: ${name}`));
    }
  }
  if (tensors.size === 0) throw new WhorlError('bad-file', `${files[0]} holds no tensors`);
  return tensors;
}
