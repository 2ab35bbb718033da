// What becomes of which tensor when an adapter is merged, checked against the base before anything is written. What is tied
// stays so or comes apart as when PEFT merges.

import { WhorlError } from '../base/error.ts';
import type { Checkpoint } from '../sources/checkpoints/checkpoint.ts';
import type { LowRankPart, PeftAdapter } from '../sources/checkpoints/peft.ts';
import { PREFIX } from '../sources/checkpoints/peft-tensors.ts';
import { floatDtype, readTensor, sameValues } from '../sources/checkpoints/read.ts';
import { shown } from '../sources/checkpoints/safetensors.ts';
import type { FloatDtype, TensorRef } from '../tensor/tensor.ts';
import { familyOf } from './families/index.ts';
import type { Decoder } from './family.ts';
import { addExpert, addPart, addVector, setRows } from './merged-tensor.ts';
import { ownNames } from './names.ts';
import { tiedNames } from './tied-head.ts';

interface MergedTensor {
  readonly shape: readonly number[];
  readonly dtype: FloatDtype;
  /** Read and computed anew at each call. */
  values(): Float32Array;
}

export interface MergePlan {
  /** By the folder's own name. */
  readonly tensors: ReadonlyMap<string, MergedTensor>;
  /** Keys of config.json that have other values. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether the folder has other tensors or shapes than its base. */
  readonly isOtherForm: boolean;
  readonly notes: readonly string[];
}

/** What stands first, and what is done to it, in order. */
interface Draft {
  from: TensorRef;
  readonly dtype: FloatDtype;
  readonly edits: ((values: Float32Array) => void)[];
}

interface Place {
  /** The adapter's file and the base, for messages. */
  readonly file: string;
  readonly model: string;
}

/** @throws WhorlError `mismatch` naming what does not fit the base; `bad-file` where a saved module is not there */
export function planMergedTensors(
  adapter: PeftAdapter,
  base: Checkpoint,
  decoder: Decoder | undefined,
  { file, model }: Place,
): MergePlan {
  const bad = (name: string, what: string) =>
    new WhorlError(
      'mismatch',
      `${file}: ${shown(PREFIX + name)}: ${what}`,
      'the adapter is of another base model',
    );
  const own = decoder ? ownNames(decoder) : (name: string) => name;
  const tied = tiedNames(base);
  const isTied = tied?.head !== undefined && !base.tensors.has(tied.head);
  const apart = isTied && comesApart(adapter, tied.embedding, tied.head, own);
  const notes: string[] = [];
  const drafts = new Map<string, Draft>();
  /** The tensor of that name, or the one that it is tied to. */
  const draftOf = (name: string): Draft | undefined => {
    const stands = isTied && !apart && name === tied.head ? tied.embedding : name;
    if (stands !== name)
      notes.push(`${name.replace(/\.weight$/, '')} is tied to ${stands}: both change, as when PEFT merges`);
    const before = drafts.get(stands);
    if (before) return before;
    const from = base.tensors.get(apart && stands === tied!.head ? tied!.embedding : stands);
    if (!from) return undefined;
    const made: Draft = { from, dtype: floatDtype(from), edits: [] };
    drafts.set(stands, made);
    return made;
  };
  if (apart) draftOf(tied!.head!);
  for (const [name, ref] of adapter.whole) {
    const draft = draftOf(own(name));
    if (!draft) throw bad(name, `${model} has no such tensor`);
    if (draft.from.shape.length !== ref.shape.length)
      throw bad(name, `[${ref.shape}] in place of a tensor of [${draft.from.shape}]`);
    draft.from = ref;
  }
  for (const [module, part] of adapter.parts) {
    const name = own(`${module}.weight`);
    const draft = draftOf(name);
    if (!draft) throw bad(module, `${model} has no tensor ${shown(`${module}.weight`)}`);
    if (part.base) draft.from = part.base;
    const transposed = part.isEmbedding || (decoder?.transposed?.(name) ?? false);
    const adds = transposed ? [part.a.shape[1]!, part.b.shape[0]!] : [part.b.shape[0]!, part.a.shape[1]!];
    if (String(draft.from.shape) !== String(adds))
      throw bad(module, `it adds [${adds}] to a tensor of [${draft.from.shape}]`);
    draft.edits.push((values) => addPart(values, part, transposed));
    if (part.bias)
      biasDraft(module, part).edits.push((values) =>
        addVector(values, readTensor(part.bias!).data, part.scale),
      );
  }
  for (const [parameter, part] of adapter.stacked) {
    const experts = decoder?.stacked?.(parameter);
    if (!experts) throw bad(parameter, `${model} has no such parameter for all experts of a layer`);
    const scale = part.scale(experts.length);
    for (const [expert, matrices] of experts.entries()) {
      let from = 0;
      for (const matrix of matrices) {
        const draft = draftOf(own(matrix));
        const [rows, width] = draft?.from.shape ?? [0, 0];
        if (!draft || width !== part.a.shape[1])
          throw bad(parameter, `${model} has no ${shown(matrix)} of […, ${part.a.shape[1]}]`);
        const of = { expert, experts: experts.length, from, to: from + rows! };
        draft.edits.push((values) => addExpert(values, part, scale, of));
        from += rows!;
      }
      if (from !== part.b.shape[0]) throw bad(parameter, `it adds ${part.b.shape[0]} rows to ${from}`);
    }
  }
  for (const [module, tokens] of adapter.tokens) {
    const draft = draftOf(own(`${module}.weight`));
    if (!draft) throw bad(module, `${model} has no tensor ${shown(`${module}.weight`)}`);
    const [rows, width] = draft.from.shape;
    const beyond = tokens.rows.find((row) => row >= rows!);
    if (beyond !== undefined || tokens.values.shape[1] !== width)
      throw bad(
        module,
        `row ${beyond ?? tokens.rows[0]} of [${tokens.values.shape}] in a table of [${draft.from.shape}]`,
      );
    draft.edits.push((values) => setRows(values, tokens));
  }
  const tensors = new Map([...drafts].map(([name, draft]) => [name, merged(draft)] as const));
  checkSaved(adapter, base, decoder, file);
  const config = changedConfig(base, tensors, apart);
  checkForm({ base, tensors, config, decoder }, bad);
  const isOtherForm = [...tensors].some(
    ([name, { shape }]) => String(base.tensors.get(name)?.shape) !== String(shape),
  );
  return { tensors, config, isOtherForm, notes };

  function biasDraft(module: string, { bias }: LowRankPart): Draft {
    const draft = draftOf(own(`${module}.bias`));
    if (!draft || String(draft.from.shape) !== String(bias!.shape))
      throw new WhorlError(
        'unsupported',
        `${file}: ${shown(module)} has a lora_B.bias of [${bias!.shape}], its layer ${draft ? `a bias of [${draft.from.shape}]` : 'no bias'}`,
        'PEFT does not merge it either',
      );
    return draft;
  }
}

const merged = ({ from, dtype, edits }: Draft): MergedTensor => ({
  shape: from.shape,
  dtype,
  values() {
    const { data } = readTensor(from);
    for (const edit of edits) edit(data);
    return data;
  },
});

/**
 * Whether head and embedding are two matrices in the merged model: PEFT makes a copy of a module that it saves, and the
 * other one stays as it was; what it loads without a copy is in both.
 */
function comesApart(
  { whole, savedModule, keepsTied }: PeftAdapter,
  embedding: string,
  head: string,
  own: (name: string) => string,
): boolean {
  const saved = [...whole].filter(([name]) => [embedding, head].includes(own(name)));
  if (saved.length === 2) return !sameValues(saved[0]![1], saved[1]![1]);
  return !keepsTied && saved.some(([name]) => savedModule(name));
}

/** PEFT opens no adapter whose config names a module to save that the base has and the file has not. */
function checkSaved(
  { whole, savedModule }: PeftAdapter,
  base: Checkpoint,
  decoder: Decoder | undefined,
  file: string,
): void {
  for (const name of base.tensors.keys()) {
    const called = decoder?.canonical?.(name) ?? name;
    if (!savedModule(called) || whole.has(called)) continue;
    throw new WhorlError(
      'bad-file',
      `${file}: modules_to_save names a module of ${shown(called)}, which is not in the file`,
      'the save was cut short: save the adapter again, or take the module out of modules_to_save',
    );
  }
}

/** A grown table is another vocabulary's; a head that came apart is said in the config, as PEFT says it. */
function changedConfig(
  base: Checkpoint,
  tensors: ReadonlyMap<string, MergedTensor>,
  apart: boolean,
): Record<string, unknown> {
  const embedding = tiedNames(base)?.embedding ?? 'model.embed_tokens.weight';
  const rows = tensors.get(embedding)?.shape[0];
  const vocabulary =
    rows !== undefined && rows !== base.tensors.get(embedding)!.shape[0] ? { vocab_size: rows } : {};
  const untied = apart ? { tie_word_embeddings: false } : {};
  const { text_config: text } = base.config;
  if (typeof text !== 'object' || text === null) return { ...vocabulary, ...untied };
  const inner = { ...text, ...vocabulary, ...untied };
  const changed = Object.keys(vocabulary).length + Object.keys(untied).length > 0;
  return changed ? { ...untied, text_config: inner } : {};
}

interface Form {
  readonly base: Checkpoint;
  readonly tensors: ReadonlyMap<string, MergedTensor>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly decoder: Decoder | undefined;
}

/** Every tensor has the shape that the changed config asks for: tables of a vocabulary grow together. */
function checkForm(
  { base, tensors, config, decoder }: Form,
  bad: (name: string, what: string) => WhorlError,
): void {
  const shapeOf = (name: string) => tensors.get(name)?.shape ?? base.tensors.get(name)?.shape;
  if (!decoder) {
    for (const [name, { shape }] of tensors)
      if (String(shape) !== String(base.tensors.get(name)?.shape))
        throw bad(name, `[${shape}] in place of a tensor of [${base.tensors.get(name)?.shape}]`);
    return;
  }
  const names = new Map([...base.tensors, ...[...tensors].map(([name]) => [name, undefined] as const)]);
  const { shapes } = familyOf({ ...base.config, ...config }, 'the merged model', names);
  for (const [name, wanted] of shapes) {
    const shape = shapeOf(name);
    if (shape === undefined || String(shape) === String(wanted)) continue;
    throw bad(
      decoder.canonical?.(name) ?? name,
      `[${shape}] where the merged model has [${wanted}]; of a vocabulary that grew, the adapter must hold every table`,
    );
  }
}
