// A model as everything above this layer has it: an opened folder bound to the family that its config names.

import { basename } from 'node:path';
import type { PlannedModel } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import type { Packing } from '../engine/packing.ts';
import { type Checkpoint, weightsFolder } from '../sources/checkpoints/checkpoint.ts';
import { digestCheckpoint } from '../sources/checkpoints/digest.ts';
import { quantisedError, quantisedNames } from '../sources/checkpoints/quantised.ts';
import { shown } from '../sources/checkpoints/safetensors.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { familyOf } from './families/index.ts';
import type { Decoder } from './family.ts';

export interface ModelFolder extends Checkpoint {
  /** What the user named: an absolute path, or `org/name@commit` of the hub. */
  readonly source: string;
  /** Set when the folder was made from a GGUF file. */
  readonly gguf?: { readonly path: string; readonly sha256: string };
  /** The user's own folder, where `folder` was converted: the one its GGUF or its pickled weights lie in. */
  readonly convertedFrom?: string;
  /** Keys of config.json that its user said to ignore: `config` is without them, the file still has them. */
  readonly ignoredConfigKeys: readonly string[];
}

/** A family with its weights where they lie: all that a graph needs of a model. */
export interface ModelWeights {
  readonly decoder: Decoder;
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** The real folder that holds every tensor's file; empty where every weight is an input. */
  readonly weightsFolder: string;
  /** Matrices that are packed instead, by name; they are not among `tensors`. */
  readonly quantised?: ReadonlyMap<string, QuantisedTensor>;
}

/** A matrix [out, width] as whole numbers and their scales, whichever way its family stores it. */
interface QuantisedTensor extends Packing {
  readonly packed: TensorRef;
  readonly scales: TensorRef;
  readonly width: number;
}

export interface Model extends ModelFolder, ModelWeights {}

const digests = new WeakMap<Model, string>();

/** Digest of every tensor, taken once of an opened model; `assertUnchanged` tells whether its files are still the same. */
export function weightsDigest(model: Model): string {
  const digest = digests.get(model) ?? digestCheckpoint(model);
  digests.set(model, digest);
  return digest;
}

const missing = ({ source, config, tensors }: Opened, name: string): WhorlError =>
  new WhorlError(
    'bad-file',
    `${source} has no tensor ${name}`,
    name === 'lm_head.weight' &&
      tensors.has('model.embed_tokens.weight') &&
      config.tie_word_embeddings !== true
      ? 'if its head is the embedding, config.json must say "tie_word_embeddings": true; else get the checkpoint again'
      : 'get the checkpoint again',
  );

/** What training wraps a model in, by what it puts before the tensors' names where its own state was saved. */
const WRAPPERS: Readonly<Record<string, string>> = {
  'base_model.model.': "PEFT's: save the model that merge_and_unload gives",
  '_orig_mod.': "torch.compile's: save the model inside, model._orig_mod",
  'module.': "DataParallel's or DeepSpeed's: save the model inside, model.module",
  '_fsdp_wrapped_module.': "FSDP's: save its full state dict",
};

/** The state of a wrapper, whose tensors have longer names. */
function wrapped({ source, tensors }: Opened, name: string): WhorlError | undefined {
  for (const [prefix, fix] of Object.entries(WRAPPERS)) {
    const found = [...tensors.keys()].find((tensor) => tensor.startsWith(prefix));
    if (found === undefined) continue;
    return new WhorlError(
      'bad-file',
      `${source} has no tensor ${name}, but ${shown(found)}: a wrapper of the model was saved`,
      fix,
    );
  }
  return undefined;
}

type Opened = Omit<ModelFolder, 'ignoredConfigKeys'> & Partial<ModelFolder>;

/** @throws WhorlError `unsupported` for another family, `bad-file` where a tensor is missing or has another shape than the config says */
export function bindModel(folder: Opened): Model {
  const decoder = familyOf(folder.config, `${folder.source}/config.json`, folder.tensors);
  for (const [name, shape] of decoder.shapes) {
    const ref = folder.tensors.get(name);
    if (ref && String(ref.shape) === String(shape)) continue;
    const packed = quantisedNames(folder.tensors.keys());
    if (packed) throw quantisedError(folder.source, `${packed[0]}, by ${shown(packed[1])}`);
    if (!ref) throw wrapped(folder, name) ?? missing(folder, name);
    throw new WhorlError(
      'bad-file',
      `${folder.source}: ${name} is [${ref.shape}], its config says [${shape}]`,
      'get the checkpoint again',
    );
  }
  return { ignoredConfigKeys: [], ...folder, decoder, weightsFolder: weightsFolder(folder) };
}

export const plannedModel = (role: string, { source, decoder }: Model): PlannedModel => ({
  role,
  source,
  family: decoder.model_type,
});

/** What people call the model: the last part of its path, or of its hub id without the commit. */
export const modelName = ({ source }: Pick<ModelFolder, 'source'>): string =>
  basename(source.replace(/@[0-9a-f]{40}(:.*)?$/, ''));
