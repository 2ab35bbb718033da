// `whorl convert --to gguf`: a model folder as one GGUF file that llama.cpp opens, tensor by tensor, some rows at a time.

import { statSync } from 'node:fs';
import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { type DryRun, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { nameHint } from '../base/near-name.ts';
import { checkRoom } from '../base/room.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import { assertUnchanged } from '../sources/checkpoints/checkpoint.ts';
import { quantise } from '../sources/checkpoints/gguf-quantise.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { type GgufEntries, ggufBytes, writeGguf } from '../sources/checkpoints/write-gguf.ts';
import { toFloat32 } from '../tensor/convert.ts';
import { ggufVocabulary } from '../text/gguf-vocabulary.ts';
import { openTokenizerFiles } from '../text/tokenizer.ts';
import { GGUF_TYPES, type GgufFileType, type GgufPlan, type GgufTensorOut, ggufPlan } from './gguf-export.ts';
import { orderedRows } from './gguf-rows.ts';
import { type Model, modelName, plannedModel } from './model.ts';
import { type ConfigOptions, configOptions, openModel } from './open-model.ts';

export interface ConvertOptions extends ConfigOptions, Abortable {
  /** A model folder, a GGUF or a hub id. */
  readonly model: string;
  readonly to: 'gguf';
  /**
   * What matrices are stored as; vectors and norms are float32 in any. Rows that are no multiple of a type's block take the
   * next one that llama.cpp takes for it: Q4_K Q5_0, and that float16.
   */
  readonly type: GgufFileType;
  readonly out: string;
  readonly onEvent?: OnEvent;
}

export interface ConvertReport {
  readonly model: string;
  readonly out: string;
  readonly architecture: string;
  readonly bytes: number;
  /** How many tensors have each type. */
  readonly tensors: Readonly<Record<string, number>>;
  /** What the file cannot say and a reader of it will do otherwise, in words. */
  readonly lost: readonly string[];
}

/** Where the name says so, llama.cpp looks these up, and does not open a file without them (llama-vocab.cpp). */
const namesPhi3 = (name: string): boolean => /phi-?3/i.test(name);
const PHI3_TOKENS = ['</s>', '<unk>', '<s>', '<|endoftext|>'];

const HALF_MOST = 65_520; // from here on float16 rounds to infinity

/**
 * Writes the model with its tokenizer as a GGUF.
 * @throws WhorlError `exists`; `unsupported` naming what llama.cpp's format has no word for; `no-space` before the work;
 *   what opening the model throws
 */
export const convertModel = plannable<ConvertOptions, ConvertReport>(planConversion, runConversion);

interface Prepared extends GgufPlan {
  readonly model: Model;
  readonly lost: readonly string[];
  readonly bytes: number;
}

async function prepare(options: ConvertOptions): Promise<Prepared> {
  const { type, out, onEvent = silent } = options;
  if (!Object.hasOwn(GGUF_TYPES, type))
    throw new WhorlError('usage', `no type ${type}`, nameHint(type, Object.keys(GGUF_TYPES)));
  checkNew(out);
  if (statSync(out, { throwIfNoEntry: false })?.isDirectory())
    throw new WhorlError('bad-path', `${out} is a folder`, 'name a file');
  onEvent({ kind: 'phase', name: 'opening', detail: options.model });
  const model = await openModel(options.model, { onEvent, ...configOptions(options) });
  const plan = ggufPlan(model, type);
  const { vocab_size } = model.decoder.config;
  const files = await openTokenizerFiles(model.folder, model.convertedFrom);
  const vocabulary = await ggufVocabulary(files, vocab_size, model.folder);
  const name = modelName(model);
  const tokens = vocabulary.entries.get('tokenizer.ggml.tokens')?.value as readonly string[];
  const named: GgufEntries = new Map(
    namesPhi3(name) && !PHI3_TOKENS.every((token) => tokens.includes(token))
      ? []
      : [['general.name', { type: 'string', value: name }]],
  );
  const bytes = plan.tensors.reduce((sum, tensor) => sum + ggufBytes(tensor), 0);
  checkRoom(out, bytes);
  return {
    ...plan,
    entries: new Map([...plan.entries, ...named, ...vocabulary.entries]),
    lost: [...plan.lost, ...vocabulary.lost],
    model,
    bytes,
  };
}

async function planConversion(options: ConvertOptions): Promise<DryRun> {
  const { model, bytes, lost, tensors } = await prepare(options);
  return planOf('convert', {
    models: [plannedModel('converted', model)],
    settings: { to: options.to, type: options.type },
    writes: [{ path: options.out, what: `${tensors.length} tensors, ${bytes} bytes` }],
    notes: lost,
  });
}

async function runConversion(options: ConvertOptions): Promise<ConvertReport> {
  const { out, onEvent = silent } = options;
  const { model, entries, tensors, lost, architecture, bytes } = await prepare(options);
  for (const text of lost) onEvent({ kind: 'note', text });
  let done = 0;
  onEvent({ kind: 'phase', name: 'writing', detail: out });
  await writeGguf(out, entries, tensors, function* (tensor) {
    yield* bytesOf(tensor, model.source);
    done += ggufBytes(tensor);
    onEvent({ kind: 'progress', name: 'writing', done, total: bytes });
    if (done === bytes) assertUnchanged(model); // before the file gets its name
  });
  const types: Record<string, number> = {};
  for (const { type } of tensors) types[type] = (types[type] ?? 0) + 1;
  return { model: model.source, out, architecture, bytes: statSync(out).size, tensors: types, lost };
}

/** The tensor's bytes as GGUF has its rows and values, some rows at a time. */
function* bytesOf(tensor: GgufTensorOut, source: string): Generator<Uint8Array> {
  for (const values of valuesOf(tensor)) {
    checkFits(values, tensor, source);
    yield quantise(tensor.type, values);
  }
}

function* valuesOf(tensor: GgufTensorOut): Generator<Float32Array> {
  const { from, name } = tensor;
  if (from instanceof Float32Array) return yield from;
  if (!('file' in from)) {
    for (const part of from) yield* valuesOf({ ...tensor, from: part });
    return;
  }
  const dtype = floatDtype(from);
  const reader = new BoundedReader(from.file, name);
  try {
    yield* orderedRows(reader, { name, ...from }, tensor, 'gguf', (bytes) => toFloat32(bytes, dtype));
  } finally {
    reader.close();
  }
}

/** Whether values that were finite stay so. Types of 32 bits and bfloat16 hold whatever there is. */
function checkFits(values: Float32Array, { type, name }: GgufTensorOut, source: string): void {
  if (type === 'F32' || type === 'BF16') return;
  const most = type === 'F16' ? HALF_MOST : Number.POSITIVE_INFINITY;
  const bad = values.find((value) => !(Math.abs(value) < most));
  if (bad !== undefined)
    throw new WhorlError(
      'unsupported',
      `${source}: ${name} holds ${bad}, which ${type} has no number for`,
      'use --type bf16 or f32',
    );
}
