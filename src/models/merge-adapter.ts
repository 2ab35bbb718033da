// A LoRA adapter into a model's own weights, as PEFT merges: in the weights' dtypes, every other byte as it was.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { carriedFrom, TOKENIZER_FILES } from '../sources/checkpoints/carried.ts';
import { writeReplacedFolder } from '../sources/checkpoints/patched-folder.ts';
import { adapterWeights, readPeftAdapter } from '../sources/checkpoints/peft.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { writeRewrittenFolder } from '../sources/checkpoints/rewritten-folder.ts';
import { asObject } from '../sources/strict-json.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { Dtype, FloatDtype } from '../tensor/tensor.ts';
import type { Decoder } from './family.ts';
import { type MergePlan, planMergedTensors } from './merge-plan.ts';
import { bindModel, type ModelFolder } from './model.ts';
import { type ConfigOptions, configOptions, openModelFolder } from './open-model.ts';

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

interface Prepared extends MergePlan {
  readonly base: ModelFolder;
  readonly decoder: Decoder | undefined;
  readonly changed: readonly string[];
  /** How many of the base's tensors stay as they are. */
  readonly kept: number;
  /** Files of a tokenizer, by name, that go with the merged model in place of the base's. */
  readonly beside: ReadonlyMap<string, string>;
}

async function prepare(options: MergeOptions): Promise<Prepared> {
  const { model, adapter: folder, out, onEvent = silent } = options;
  checkNew(out);
  const adapter = readPeftAdapter(folder);
  const base = await openModelFolder(model, {
    onEvent,
    appliedAdapter: folder,
    anyFamily: true,
    ...configOptions(options),
  });
  const decoder = decoderOf(base);
  const plan = planMergedTensors(adapter, base, decoder, { file: adapterWeights(folder), model });
  for (const text of new Set(plan.notes)) onEvent({ kind: 'note', text });
  const changed = [...new Set([...base.tensors.keys(), ...plan.tensors.keys()])].filter((name) =>
    plan.tensors.has(name),
  );
  const kept = [...base.tensors.keys()].filter((name) => !plan.tensors.has(name)).length;
  return { ...plan, base, decoder, changed, kept, beside: tokenizerBeside(folder, base, plan, onEvent) };
}

/**
 * An adapter's folder often holds the tokenizer that it was trained with. It goes with the merged model where the base's own
 * cannot, which has other tokens than there are rows; else it is said that there is another one.
 */
function tokenizerBeside(
  folder: string,
  base: ModelFolder,
  { config }: MergePlan,
  onEvent: OnEvent,
): ReadonlyMap<string, string> {
  const grew = 'vocab_size' in config || 'vocab_size' in asObject(config.text_config ?? {}, 'text_config');
  const own = new Map(carriedFrom(base).files);
  const there = TOKENIZER_FILES.map((name) => [name, join(folder, name)] as const).filter(([, path]) =>
    existsSync(path),
  );
  const others = there.filter(([name, path]) => {
    const before = own.get(name);
    return before === undefined || !readFileSync(path).equals(readFileSync(before));
  });
  if (others.length === 0) return new Map();
  const names = others.map(([name]) => name).join(', ');
  onEvent({
    kind: 'note',
    text: grew
      ? `the vocabulary has other tokens than the base's: ${names} are the adapter's`
      : `${folder} has another ${names} than the base: the merged model has the base's; copy them if it was trained with its own`,
  });
  return grew ? new Map(there) : new Map();
}

async function planMerge(options: MergeOptions): Promise<DryRun> {
  const { base, decoder, changed, kept } = await prepare(options);
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
  const { base, tensors, changed, kept, isOtherForm, config, beside } = await prepare(options);
  let done = 0;
  const bytesOf = (name: string, dtype: FloatDtype): Uint8Array => {
    const bytes = fromFloat32(tensors.get(name)!.values(), dtype);
    onEvent({ kind: 'progress', name: 'merging', done: ++done, total: changed.length });
    return bytes;
  };
  if (isOtherForm) {
    const entries = [...tensors].map(([name, { shape, dtype }]) => {
      const bytes = (stored: Dtype) => bytesOf(name, stored as FloatDtype);
      return [name, { shape, dtype, bytes }] as const;
    });
    await writeRewrittenFolder(base, out, { tensors: new Map(entries), config, beside });
  } else await writeReplacedFolder(base, out, changed, (name, ref) => bytesOf(name, floatDtype(ref)));
  return { model: base.source, adapter, out, changed, kept };
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
