// The tensors of a PEFT adapter by what they are: low-rank maps, DoRA's magnitudes, tensors saved whole, rows of some tokens.
// PEFT's own names: save_and_load.py, and adapter_state_dict of its modules.

import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { floatDtype } from './read.ts';
import { shown } from './safetensors.ts';

/** What PEFT puts before a module's name. */
export const PREFIX = 'base_model.model.';

export interface Pair {
  /** [rank, in] */
  readonly a: TensorRef;
  /** [out, rank] */
  readonly b: TensorRef;
  /** In place of the base's own matrix: PEFT saves a head or an embedding that it adapts, and loads it from there. */
  readonly base?: TensorRef;
  /** Whether PEFT adapted a table that rows are looked up in. */
  readonly isEmbedding: boolean;
  /** DoRA's length of each row of the merged matrix, of an embedding each column (Liu et al. 2024): [out]. */
  readonly magnitude?: TensorRef;
  /** [out], scaled as the matrix is and added to the layer's own bias. */
  readonly bias?: TensorRef;
}

export interface AdapterTensors {
  /** By module. */
  readonly pairs: ReadonlyMap<string, Pair>;
  /** By the tensor's name in the base: what stands there instead. */
  readonly whole: ReadonlyMap<string, TensorRef>;
  /** By module: rows [n, width] that stand instead of some rows of the base. */
  readonly tokens: ReadonlyMap<string, TensorRef>;
}

type Part = 'a' | 'b' | 'base' | 'magnitude' | 'bias';

/** What a tensor is by the end of its name; of which kind of layer it says its module is. */
const KINDS: Readonly<Record<string, { part: Part; isEmbedding?: boolean }>> = {
  'lora_A.weight': { part: 'a', isEmbedding: false },
  'lora_B.weight': { part: 'b', isEmbedding: false },
  lora_embedding_A: { part: 'a', isEmbedding: true },
  lora_embedding_B: { part: 'b', isEmbedding: true },
  'base_layer.weight': { part: 'base' },
  lora_magnitude_vector: { part: 'magnitude' },
  'lora_magnitude_vector.weight': { part: 'magnitude' }, // in files of PEFT 0.9 to 0.11
  'lora_B.bias': { part: 'bias', isEmbedding: false },
};
const ends = (names: readonly string[]): RegExp =>
  new RegExp(`^(.+?)[.](${names.join('|').replaceAll('.', '[.]')})$`);
const OF_A_PAIR = ends(Object.keys(KINDS));
const TOKENS = ends(['token_adapter.trainable_tokens_delta']);
const BASE_BIAS = ends(['base_layer.bias']);
/** Beside what is saved whole where a vocabulary grew: the same again, and what stood in the base. */
const AGAIN = /[.](?:modules_to_save|original_module)[.]/;

/** @throws WhorlError `unsupported` for a tensor of another kind of adapter, `bad-file` for maps that do not multiply */
export function sortTensors(tensors: ReadonlyMap<string, TensorRef>, path: string): AdapterTensors {
  const found = new Map<string, Partial<Pair>>();
  const [whole, tokens] = [new Map<string, TensorRef>(), new Map<string, TensorRef>()];
  for (const [key, ref] of tensors) {
    const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined;
    if (name === undefined || name === '' || (/[.]lora_/.test(name) && !OF_A_PAIR.test(name)))
      throw new WhorlError(
        'unsupported',
        `${path}: tensor ${shown(key)} is no part of a LoRA that Whorl knows`,
        'merge it with PEFT (merge_and_unload), then use the merged model',
      );
    floatDtype(ref);
    const [, module, kind] = OF_A_PAIR.exec(name) ?? [];
    if (module === undefined) {
      const [, rowsOf] = TOKENS.exec(name) ?? [];
      const [, biasOf] = BASE_BIAS.exec(name) ?? [];
      if (rowsOf !== undefined) tokens.set(rowsOf, ref);
      else if (biasOf !== undefined) whole.set(`${biasOf}.bias`, ref);
      else if (!AGAIN.test(name)) whole.set(name, ref);
      continue;
    }
    const before = found.get(module);
    const { part, isEmbedding = before?.isEmbedding } = KINDS[kind!]!;
    if (before?.isEmbedding !== undefined && before.isEmbedding !== isEmbedding)
      throw new WhorlError('bad-file', `${path}: ${shown(module)} is a linear layer and an embedding`);
    found.set(module, { ...before, [part]: ref, ...(isEmbedding !== undefined && { isEmbedding }) });
  }
  const pairs = new Map([...found].map(([module, parts]) => [module, wholePair(module, parts, path)]));
  if (pairs.size + whole.size + tokens.size === 0)
    throw new WhorlError('bad-file', `${path} holds no tensors`);
  for (const name of whole.keys()) {
    const module = name.slice(0, name.lastIndexOf('.'));
    if (pairs.has(module) && !tensors.has(`${PREFIX}${module}.base_layer.bias`))
      throw new WhorlError(
        'unsupported',
        `${path}: ${shown(name)} stands beside a low-rank map of ${shown(module)}, where PEFT does not load it`,
        'save the adapter again with a PEFT of today, or take the tensor out',
      );
  }
  return { pairs, whole, tokens };
}

function wholePair(module: string, parts: Partial<Pair>, path: string): Pair {
  const { a, b, base, magnitude, bias, isEmbedding = false } = parts;
  const bad = (what: string) => new WhorlError('bad-file', `${path}: ${shown(module)} ${what}`);
  if (!a || !b) throw bad(`lacks its lora_${isEmbedding ? 'embedding_' : ''}${a ? 'B' : 'A'}`);
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== b.shape[1] || a.shape[0] === 0)
    throw bad(`has A [${a.shape}] and B [${b.shape}], which do not multiply`);
  const [out, width] = [b.shape[0]!, a.shape[1]!];
  if (base && String(base.shape) !== String(isEmbedding ? [width, out] : [out, width]))
    throw bad(`has a base_layer of [${base.shape}]`);
  for (const [what, vector] of Object.entries({ lora_magnitude_vector: magnitude, 'lora_B.bias': bias }))
    if (vector && String(vector.shape) !== String([out])) throw bad(`has a ${what} of [${vector.shape}]`);
  return {
    ...{ a, b, isEmbedding },
    ...(base && { base }),
    ...(magnitude && { magnitude }),
    ...(bias && { bias }),
  };
}
