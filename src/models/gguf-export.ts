// What a model is as a GGUF: keys and tensors by what its family says of itself, the way back of `gguf-model.ts`. Whether
// the file says all that the config does is found out by reading its header again.

import { WhorlError } from '../base/error.ts';
import { BLOCKS } from '../sources/checkpoints/gguf-blocks.ts';
import type { WritableType } from '../sources/checkpoints/gguf-quantise.ts';
import type { GgufEntry, GgufOut } from '../sources/checkpoints/write-gguf.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { withValues } from './config.ts';
import { GGUF_FAMILIES } from './families/gguf.ts';
import { familyOf } from './families/index.ts';
import { languagePart } from './families/wrappers.ts';
import type { Decoder } from './family.ts';
import type { GgufFamily, GgufKey, GgufLayout, GgufName } from './gguf-family.ts';
import type { GgufHeader } from './gguf-keys.ts';
import { ggufConfig, ggufWeights, nameOf } from './gguf-model.ts';
import { ROPE_FACTORS, type RopeOut, ropeOut } from './gguf-rope.ts';
import { partRuns, type RowOrder } from './gguf-rows.ts';
import type { Model } from './model.ts';
import { differences, sameWindows } from './same-decoder.ts';

/** A tensor of the file and what it is made of. */
export interface GgufTensorOut extends GgufOut, RowOrder {
  readonly type: WritableType;
  /** Several: one after the other. */
  readonly from: TensorRef | readonly TensorRef[] | Float32Array;
}

export interface GgufPlan {
  readonly architecture: string;
  /** Of the model, without those of its tokenizer. */
  readonly entries: ReadonlyMap<string, GgufEntry>;
  readonly tensors: readonly GgufTensorOut[];
  /** What the file cannot say and a reader of it will do otherwise, in words. */
  readonly lost: readonly string[];
}

/** What a person may ask for, and llama.cpp's number for a file of it (`general.file_type`). */
export const GGUF_TYPES = {
  f32: { type: 'F32', file: 0 },
  f16: { type: 'F16', file: 1 },
  bf16: { type: 'BF16', file: 32 },
  q8_0: { type: 'Q8_0', file: 7 },
  q4_0: { type: 'Q4_0', file: 2 },
  q4_k: { type: 'Q4_K', file: 14 },
} as const satisfies Readonly<Record<string, { readonly type: WritableType; readonly file: number }>>;
export type GgufFileType = keyof typeof GGUF_TYPES;

/** @throws WhorlError `unsupported` naming what llama.cpp's format has no word for */
export function ggufPlan(model: Model, wanted: GgufFileType): GgufPlan {
  const family = familyFor(model);
  const part = languagePart(model.config, model.source);
  const own = withValues(() => familyOf(part?.config ?? model.config, `${model.source}/config.json`));
  const { entries, factors } = entriesOf(family, model, own.values);
  const { type, file } = GGUF_TYPES[wanted];
  entries.set('general.file_type', { type: 'uint32', value: file });
  if (BLOCKS[type].elements > 1) entries.set('general.quantization_version', { type: 'uint32', value: 2 });
  const { tensors: made, left } = tensorsOf(family, model, own.made, type);
  const tensors = [
    ...factors.map(([name, from]) => ({ name, type: 'F32' as const, shape: [from.length], from })),
    ...made,
  ];
  const lost = checkSaysAll(family, model, own, entries, tensors);
  if (left !== undefined) throw unsaid(model, `the tensor ${left}`, family); // which no key of the config is the reason for
  return {
    architecture: family.architecture,
    entries,
    tensors,
    lost: [...lost, ...(part ? [OTHER_PARTS] : [])],
  };
}

function familyFor({ decoder, source }: Model): GgufFamily {
  const type = decoder.model_type;
  const family = GGUF_FAMILIES.find(({ config, also }) => config.model_type === type || also?.includes(type));
  if (family) return family;
  throw new WhorlError(
    'unsupported',
    `${source} is a ${type}, which Whorl cannot write as GGUF`,
    "docs/models.md lists what it writes; llama.cpp's convert_hf_to_gguf.py may know it",
  );
}

const count = (value: number): GgufEntry => ({ type: 'uint32', value });
const ENTRY_TYPES = { count: 'uint32', positive: 'float32', flag: 'bool' } as const;

/** @param values what the family reads of the config, defaults included */
function entriesOf(
  family: GgufFamily,
  { decoder, source }: Model,
  values: ReadonlyMap<string, unknown>,
): { entries: Map<string, GgufEntry>; factors: NonNullable<RopeOut['tensors']> } {
  const { config, ropes } = decoder;
  const { architecture } = family;
  const entries = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: architecture }],
    ['general.type', { type: 'string', value: 'model' }],
  ]);
  const set = (key: string, entry: GgufEntry) => entries.set(`${architecture}.${key}`, entry);
  set('block_count', count(config.num_hidden_layers));
  set('embedding_length', count(config.hidden_size));
  set('attention.head_count', count(config.num_attention_heads));
  set('attention.head_count_kv', count(config.num_key_value_heads));
  set('vocab_size', count(config.vocab_size));
  for (const [key, value] of Object.entries(family.texts ?? {})) set(key, { type: 'string', value });
  if (family.headDim)
    for (const key of ['attention.key_length', 'attention.value_length']) set(key, count(config.head_dim));
  for (const [key, said] of Object.entries(family.keys)) {
    if (entries.has(`${architecture}.${key}`)) continue;
    const entry = entryOf(said, saidOf(said, decoder, values), family);
    if (entry) set(key, entry);
    else if (said.absent === undefined)
      throw new WhorlError('unsupported', `${source}/config.json has no ${said.name}, which GGUF needs`);
  }
  const [rope] = ropes;
  if (!rope) return { entries, factors: [] };
  const words = ropeOut(rope, family.longrope === true);
  if (!words)
    throw new WhorlError(
      'unsupported',
      `${source}/config.json: GGUF has no word for rope_type ${JSON.stringify(rope.rope_scaling.rope_type)}`,
      'llama.cpp cannot run this model',
    );
  set('rope.dimension_count', count(rope.dim));
  set('rope.freq_base', { type: 'float32', value: rope.rope_theta });
  for (const [key, entry] of words.entries) set(key, entry);
  return { entries, factors: words.tensors ?? [] };
}

/** What config.json may have among `rope_parameters`, beside them, or not at all. */
const OF_ROPE: Readonly<Record<string, (ropes: Decoder['ropes']) => number | undefined>> = {
  rope_local_base_freq: (ropes) => ropes[1]?.rope_theta,
  original_max_position_embeddings: (ropes) => ropes[0]?.rope_scaling.original_max_position_embeddings,
};

const saidOf = (
  { name, otherwise }: GgufKey,
  { config, ropes }: Decoder,
  values: ReadonlyMap<string, unknown>,
): unknown => OF_ROPE[name]?.(ropes) ?? values.get(name) ?? otherwise?.(config);

/** undefined: nothing to say. What the architecture is taken to be anyway is not said, since llama.cpp would not read it. */
function entryOf(
  { name, as, absent, none }: GgufKey,
  value: unknown,
  { config }: GgufFamily,
): GgufEntry | undefined {
  if (value === undefined || value === null) return none === undefined ? undefined : count(none);
  if (absent === null && config[name] === value) return undefined;
  return { type: ENTRY_TYPES[as], value } as GgufEntry;
}

/** Ours, by transformers' names, in the order: embedding, blocks, what follows them; and the first that has no place there. */
function tensorsOf(
  family: GgufFamily,
  model: Model,
  plain: Decoder,
  wanted: WritableType,
): { readonly tensors: readonly GgufTensorOut[]; readonly left: string | undefined } {
  const { decoder } = model;
  const { config, shapes } = decoder;
  // The family's own names, whatever the folder or a wrapper calls them: the order is the same.
  const stored = [...shapes.keys()];
  const byName = new Map([...plain.shapes.keys()].map((name, i) => [name, stored[i]!]));
  const out = function* (from: string, rule: GgufName, prefix: string): Generator<GgufTensorOut> {
    const layout: GgufLayout = typeof rule === 'string' ? {} : rule;
    const to = nameOf(rule, () => byName.has(`${prefix}${layout.beside!.to}.weight`));
    for (const leaf of ['weight', 'bias']) {
      if (layout.rows === 'apart') {
        const parts: TensorRef[] = [];
        const next = () => taken(`${prefix}${to.replace('*', `${parts.length}`)}.${leaf}`);
        for (let own = next(); own; own = next()) parts.push(own);
        if (parts.length > 0) yield stacked(`${from}.${leaf}`, parts);
        continue;
      }
      const own = taken(`${prefix}${to}.${leaf}`);
      if (own) yield made(`${from}.${leaf}`, own, layout);
    }
  };
  const taken = (name: string): TensorRef | undefined => {
    const own = byName.get(name);
    byName.delete(name);
    return own === undefined ? undefined : model.tensors.get(own)!;
  };
  const stacked = (name: string, from: readonly TensorRef[]): GgufTensorOut => {
    const shape = [from.length, ...from[0]!.shape];
    return { name, type: typeOf(name, shape, wanted), shape, from };
  };
  const made = (name: string, from: TensorRef, { rows, plus }: GgufLayout): GgufTensorOut => {
    const shape = rows === 'transposed' ? from.shape.toReversed() : from.shape;
    return {
      name,
      type: typeOf(name, shape, wanted),
      shape,
      from,
      ...(rows === 'interleaved' && { headDim: config.head_dim }),
      ...(rows === 'by-part' && {
        runs: partRuns(config.num_attention_heads, config.num_key_value_heads, config.head_dim),
      }),
      ...(rows === 'transposed' && { transposed: true }),
      ...(plus !== undefined && { plus: -plus }),
    };
  };
  const { token_embd, ...after } = family.outside;
  const all = function* (): Generator<GgufTensorOut> {
    yield* out('token_embd', token_embd!, '');
    for (let layer = 0; layer < config.num_hidden_layers; layer++)
      for (const [part, rule] of Object.entries(family.block))
        yield* out(`blk.${layer}.${part}`, rule, `${family.layers}${layer}.`);
    for (const [part, rule] of Object.entries(after)) {
      if (part === 'output' && decoder.head === decoder.embedding && family.head === 'stored')
        yield made('output.weight', model.tensors.get(decoder.embedding)!, {});
      if (part === 'output' && decoder.head !== decoder.embedding && family.head === 'tied')
        throw unsaid(model, 'a head of its own (tie_word_embeddings = false)', family);
      yield* out(part, rule, '');
    }
  };
  const tensors = [...all()];
  return { tensors, left: [...byName.keys()][0] };
}

/** What llama.cpp takes where a row is no multiple of a type's block. */
const INSTEAD: { readonly [T in WritableType]?: WritableType } = { Q4_K: 'Q5_0' };

/** Vectors, norms, learnt positions and routers stay float32, as llama.cpp's kernels want them and its converter has them. */
function typeOf(name: string, shape: readonly number[], wanted: WritableType): WritableType {
  if (shape.length === 1 || /(_norm|^position_embd|ffn_gate_inp(_shexp)?)\.weight$/.test(name)) return 'F32';
  const fits = (type: WritableType): boolean => shape.at(-1)! % BLOCKS[type].elements === 0;
  const type = fits(wanted) ? wanted : (INSTEAD[wanted] ?? 'F16');
  return fits(type) ? type : 'F16';
}

/** Reads the header again as any GGUF's. @returns what is lost @throws WhorlError `unsupported` naming what else would be */
function checkSaysAll(
  family: GgufFamily,
  model: Model,
  own: Read,
  entries: ReadonlyMap<string, GgufEntry>,
  tensors: readonly GgufTensorOut[],
): readonly string[] {
  // The factors are llama3's own: whether its numbers can be found in them again is the reader's affair.
  const factors = new Map(
    tensors.flatMap(({ name, from }) => (from instanceof Float32Array ? [[name, from] as const] : [])),
  );
  const keyed = tensors.filter(({ name }) => name !== ROPE_FACTORS);
  const header: GgufHeader = {
    path: model.source,
    metadata: new Map(
      [...entries].map(([key, { type, value }]) => [key, type === 'float32' ? Math.fround(value) : value]),
    ),
    tensors: new Map(
      keyed.map(({ name, type, shape }) => [name, { name, type, shape, offset: 0, length: 0 }]),
    ),
  };
  const read = withValues(() => {
    const config = ggufConfig(family, header, (name) => factors.get(name)!);
    const rope_scaling = keyed.length < tensors.length && llama3Of(own.made);
    return familyOf({ ...config, ...(rope_scaling && { rope_scaling }) }, model.source);
  });
  ggufWeights(family, header);
  const parts = differences(own.made, read.made);
  if (parts.length > 0) {
    const keys = [...own.values].filter(
      ([key, value]) => read.values.has(key) && !same(value, read.values.get(key)) && !IDLE.has(key),
    );
    const said = keys.map(([key, value]) => `${key} = ${JSON.stringify(value ?? null)}`);
    throw unsaid(model, said.length > 0 ? said.join(', ') : parts.join(', '), family);
  }
  checkBiases(family, model, header);
  const unread = family.windowUnread && own.made.layers.some(({ window }) => window !== undefined);
  const isLong = own.made.ropes.some(({ rope_scaling }) => rope_scaling.rope_type === 'longrope');
  return [...(unread || !sameWindows(own.made, read.made) ? [WINDOW] : []), ...(isLong ? [BY_CONTEXT] : [])];
}

/** llama.cpp opens some architectures with their biases alone, others without them alone. */
function checkBiases(family: GgufFamily, model: Model, { tensors }: GgufHeader): void {
  if (family.wants === undefined) return;
  for (const [name, parts] of Object.entries(family.biases ?? {})) {
    const there = parts.some((part) => tensors.has(`blk.0.${part}.bias`));
    if (there !== (family.wants === 'biases')) throw unsaid(model, `${name} = ${there}`, family);
  }
}

/** A family and what it read of its config. */
type Read = ReturnType<typeof withValues<Decoder>>;

const WINDOW = 'sliding_window: texts that are no longer than it are the same';
const BY_CONTEXT =
  'long_factor and short_factor: llama.cpp takes them by the context that it is opened with, not by the length of the text';
const OTHER_PARTS = 'what the model has beside its language part';

function llama3Of({ ropes: [rope] }: Decoder): object {
  const { rope_type, factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } =
    rope!.rope_scaling;
  return { rope_type, factor, low_freq_factor, high_freq_factor, original_max_position_embeddings };
}

/** Sizes that differ only where a tied head is stored. */
const IDLE: ReadonlySet<string> = new Set(['tie_word_embeddings']);

const same = (a: unknown, b: unknown): boolean =>
  typeof a === 'number' && typeof b === 'number'
    ? Math.fround(a) === Math.fround(b)
    : JSON.stringify(a) === JSON.stringify(b);

const unsaid = ({ source }: Model, what: string, { architecture }: GgufFamily): WhorlError =>
  new WhorlError(
    'unsupported',
    `${source}: a GGUF of ${architecture} cannot say ${what}`,
    'llama.cpp would compute another model',
  );
