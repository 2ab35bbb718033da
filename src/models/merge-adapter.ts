// A LoRA adapter into a model's own weights: W + scale·B·A in W's dtype, every other byte as it was.

import { checkNew } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { writeReplacedFolder } from '../sources/checkpoints/patched-folder.ts';
import { ADAPTER_WEIGHTS, type LowRankPart, PREFIX, readPeftAdapter } from '../sources/checkpoints/peft.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { shown } from '../sources/checkpoints/safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { ModelFolder } from './model.ts';
import { type ConfigOptions, configOptions, openModelFolder } from './open-model.ts';
import { tiedNames } from './tied-head.ts';

export interface MergeOptions extends ConfigOptions {
  /** A model folder, a GGUF or a hub id. */
  readonly model: string;
  /** A folder as PEFT saves it. */
  readonly adapter: string;
  readonly out: string;
  readonly onEvent?: OnEvent;
}

export interface MergeReport {
  readonly model: string;
  readonly adapter: string;
  readonly out: string;
  /** Names of the tensors that are other ones, in the base's order. */
  readonly changed: readonly string[];
  /** Tensors carried over byte for byte. */
  readonly kept: number;
}

// Layers of these keep their matrix as [in, out]: a square one would be merged the wrong way round without a word.
const TRANSPOSED: ReadonlySet<unknown> = new Set(['gpt2', 'openai-gpt', 'imagegpt', 'decision_transformer']);

/** @throws WhorlError `mismatch` naming the tensor that does not fit; what reading the adapter throws; `exists` */
export async function mergeAdapter(options: MergeOptions): Promise<MergeReport> {
  const { model, adapter, out, onEvent = silent } = options;
  checkNew(out);
  const { parts } = readPeftAdapter(adapter);
  const base = await openModelFolder(model, { onEvent, anyFamily: true, ...configOptions(options) });
  if (TRANSPOSED.has(base.config.model_type))
    throw new WhorlError(
      'unsupported',
      `${model} is a ${String(base.config.model_type)}, whose layers are transposed`,
      'merge it with PEFT',
    );
  const byTensor = new Map<string, LowRankPart>();
  for (const [module, part] of parts) {
    const name = tensorAdapted(module, base);
    if (name !== `${module}.weight`)
      onEvent({
        kind: 'note',
        text: `${module} is tied to ${name}: both change, as when PEFT merges`,
      });
    checkFits(module, part, base.tensors.get(name), `${adapter}/${ADAPTER_WEIGHTS}`, model);
    byTensor.set(name, part);
  }
  const changed = [...base.tensors.keys()].filter((name) => byTensor.has(name));
  let done = 0;
  await writeReplacedFolder(base, out, changed, (name, ref) => {
    const bytes = fromFloat32(merged(ref, byTensor.get(name)!), floatDtype(ref));
    onEvent({ kind: 'progress', name: 'merging', done: ++done, total: changed.length });
    return bytes;
  });
  return { model: base.source, adapter, out, changed, kept: base.tensors.size - changed.length };
}

/** A tied head's matrix is the embedding; PEFT adds to it where it stands, and so to both. */
function tensorAdapted(module: string, base: ModelFolder): string {
  const name = `${module}.weight`;
  const tied = tiedNames(base);
  return tied?.head === name && !base.tensors.has(name) ? tied.embedding : name;
}

function checkFits(
  module: string,
  { a, b }: LowRankPart,
  ref: TensorRef | undefined,
  file: string,
  model: string,
): void {
  const bad = (what: string) =>
    new WhorlError(
      'mismatch',
      `${file}: ${shown(PREFIX + module)}: ${what}`,
      'the adapter is of another base model',
    );
  if (!ref) throw bad(`${model} has no tensor ${shown(`${module}.weight`)}`);
  const [out, width] = [b.shape[0]!, a.shape[1]!];
  if (ref.shape.length !== 2 || ref.shape[0] !== out || ref.shape[1] !== width)
    throw bad(`it adds [${out},${width}] to a tensor of [${ref.shape}]`);
}

/** W + scale·B·A in float32. */
function merged(ref: TensorRef, { a, b, scale, base = ref }: LowRankPart): Float32Array {
  const { data } = readTensor(base);
  return addLowRank(data, readTensor(a).data, readTensor(b).data, a.shape[0]!, scale);
}

/** Adds scale·B·A in place; w: [out, in], a: [rank, in], b: [out, rank]. The product is summed before it is added. */
export function addLowRank(
  w: Float32Array,
  a: Float32Array,
  b: Float32Array,
  rank: number,
  scale: number,
): Float32Array {
  const width = a.length / rank;
  const delta = new Float64Array(width);
  for (let o = 0; o < b.length / rank; o++) {
    delta.fill(0);
    for (let r = 0; r < rank; r++) {
      const x = scale * b[o * rank + r]!;
      for (let i = 0; i < width; i++) delta[i]! += x * a[r * width + i]!;
    }
    for (let i = 0; i < width; i++) w[o * width + i]! += delta[i]!;
  }
  return w;
}
