// A LoRA adapter into a model's own weights: W + scale·B·A in W's dtype, every other byte as it was.

import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { writeReplacedFolder } from '../sources/checkpoints/patched-folder.ts';
import { ADAPTER_WEIGHTS, type LowRankPart, PREFIX, readPeftAdapter } from '../sources/checkpoints/peft.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { shown } from '../sources/checkpoints/safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { Decoder } from './family.ts';
import { bindModel, type ModelFolder } from './model.ts';
import { ownNames } from './names.ts';
import { type ConfigOptions, configOptions, openModelFolder } from './open-model.ts';
import { tiedNames } from './tied-head.ts';

export interface MergeOptions extends ConfigOptions, Abortable {
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

/** @throws WhorlError `mismatch` naming the tensor that does not fit; what reading the adapter throws; `exists` */
export const mergeAdapter: Plannable<MergeOptions, MergeReport> = plannable(planMerge, runMergeAdapter);

/** What is added to which tensor, checked against the base. */
interface Prepared {
  readonly base: ModelFolder;
  readonly decoder: Decoder | undefined;
  readonly byTensor: ReadonlyMap<string, readonly LowRankPart[]>;
  readonly changed: readonly string[];
  readonly turned: (name: string, part: LowRankPart) => boolean;
}

async function prepare(options: MergeOptions): Promise<Prepared> {
  const { model, adapter, out, onEvent = silent } = options;
  checkNew(out);
  const { parts } = readPeftAdapter(adapter);
  const base = await openModelFolder(model, {
    onEvent,
    appliedAdapter: adapter,
    anyFamily: true,
    ...configOptions(options),
  });
  const decoder = decoderOf(base);
  const own = decoder ? ownNames(decoder) : (name: string) => name;
  const turned = (name: string, { isEmbedding }: LowRankPart): boolean =>
    isEmbedding || (decoder?.transposed?.(name) ?? false);
  const byTensor = new Map<string, LowRankPart[]>();
  for (const [module, part] of parts) {
    const said = own(`${module}.weight`);
    const name = tensorAdapted(said, base);
    if (name !== said)
      onEvent({
        kind: 'note',
        text: `${module} is tied to ${name}: both change, as when PEFT merges`,
      });
    const fits = { file: `${adapter}/${ADAPTER_WEIGHTS}`, model, transposed: turned(name, part) };
    checkFits(module, part, base.tensors.get(name), fits);
    byTensor.set(name, [...(byTensor.get(name) ?? []), part]); // an embedding and the head tied to it
  }
  const changed = [...base.tensors.keys()].filter((name) => byTensor.has(name));
  return { base, decoder, byTensor, changed, turned };
}

async function planMerge(options: MergeOptions): Promise<DryRun> {
  const { base, decoder, changed } = await prepare(options);
  const kept = base.tensors.size - changed.length;
  return planOf('merge', {
    models: [{ role: 'base', source: base.source, family: decoder?.model_type ?? 'not known' }],
    settings: { adapter: options.adapter },
    writes: [
      { path: options.out, what: `the model: ${changed.length} tensors changed, ${kept} as they are` },
    ],
  });
}

async function runMergeAdapter(options: MergeOptions): Promise<MergeReport> {
  const { adapter, out, onEvent = silent } = options;
  const { base, byTensor, changed, turned } = await prepare(options);
  let done = 0;
  await writeReplacedFolder(base, out, changed, (name, ref) => {
    const added = byTensor.get(name)!;
    const values = readTensor(added.find((part) => part.base)?.base ?? ref).data;
    for (const part of added) addPart(values, part, turned(name, part));
    const bytes = fromFloat32(values, floatDtype(ref));
    onEvent({ kind: 'progress', name: 'merging', done: ++done, total: changed.length });
    return bytes;
  });
  return { model: base.source, adapter, out, changed, kept: base.tensors.size - changed.length };
}

/** A family that Whorl does not know is merged by the names that the adapter has. */
function decoderOf(base: ModelFolder): Decoder | undefined {
  try {
    return bindModel(base).decoder;
  } catch (error) {
    if (error instanceof WhorlError && error.code === 'unsupported') return undefined;
    throw error;
  }
}

/** A tied head's matrix is the embedding; PEFT adds to it where it stands, and so to both. */
function tensorAdapted(name: string, base: ModelFolder): string {
  const tied = tiedNames(base);
  return tied?.head === name && !base.tensors.has(name) ? tied.embedding : name;
}

function checkFits(
  module: string,
  { a, b }: LowRankPart,
  ref: TensorRef | undefined,
  {
    file,
    model,
    transposed,
  }: { readonly file: string; readonly model: string; readonly transposed: boolean },
): void {
  const bad = (what: string) =>
    new WhorlError(
      'mismatch',
      `${file}: ${shown(PREFIX + module)}: ${what}`,
      'the adapter is of another base model',
    );
  if (!ref) throw bad(`${model} has no tensor ${shown(`${module}.weight`)}`);
  const adds = transposed ? [a.shape[1]!, b.shape[0]!] : [b.shape[0]!, a.shape[1]!];
  if (String(ref.shape) !== String(adds)) throw bad(`it adds [${adds}] to a tensor of [${ref.shape}]`);
}

/** W + scale·B·A in float32, in place. @param transposed W is stored [in, out] */
const addPart = (w: Float32Array, { a, b, scale }: LowRankPart, transposed: boolean): Float32Array =>
  addLowRank(w, readTensor(a).data, readTensor(b).data, a.shape[0]!, scale, transposed);

/**
 * Adds scale·B·A in place; w: [out, in], a: [rank, in], b: [out, rank]. The product is summed before it is added.
 * @param transposed w is [in, out]
 */
export function addLowRank(
  w: Float32Array,
  a: Float32Array,
  b: Float32Array,
  rank: number,
  scale: number,
  transposed = false,
): Float32Array {
  // (B·A)ᵀ = Aᵀ·Bᵀ, row by row of w either way.
  if (transposed) return addLowRank(w, turnedMatrix(b, rank), turnedMatrix(a, a.length / rank), rank, scale);
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

/** [rows, columns] → [columns, rows]. */
function turnedMatrix(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}
