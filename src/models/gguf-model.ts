// config.json and the weights of a GGUF file, read by what its family says of itself (`GgufFamily`).

import { WhorlError } from '../base/error.ts';
import type { GgufTensor } from '../sources/checkpoints/gguf.ts';
import type { GgufFamily, GgufLayout, GgufName, GgufSizes } from './gguf-family.ts';
import { type GgufHeader, GgufKeys } from './gguf-keys.ts';
import {
  LONGROPE_FACTORS,
  LONGROPE_KEYS,
  longropeScaling,
  ROPE_FACTORS,
  ropeScaling,
  YARN_KEYS,
} from './gguf-rope.ts';
import { groupRuns, type RowOrder } from './gguf-rows.ts';

/** One Hugging Face tensor and the GGUF tensor it is made of. */
interface GgufWeight extends RowOrder {
  readonly name: string;
  /** GGUF's name for it. */
  readonly from: string;
  readonly shape: readonly number[];
}

// Keys of any architecture that are read below, or that change nothing.
const SHARED = [
  'attention.head_count',
  'attention.head_count_kv',
  'attention.key_length',
  'attention.value_length',
  'block_count',
  'embedding_length',
  'rope.dimension_count',
  'rope.freq_base',
  'rope.scale_linear',
  'rope.scaling.factor',
  'rope.scaling.finetuned',
  'rope.scaling.original_context_length',
  'rope.scaling.type',
  'vocab_size',
  ...YARN_KEYS,
];
const DEFAULT_THETA = 10_000; // llama.cpp's, whatever the family's in transformers
const MAX_VECTOR = 1 << 20; // a bias is read whole, heads' norms are one each: the widest models have some ten thousand elements

/**
 * config.json without `torch_dtype`. @param values the elements of a tensor of the file, for what only a tensor says
 * @throws WhorlError `unsupported` for a key that would change the mathematics, `bad-file` for a wrong value
 */
export function ggufConfig(
  family: GgufFamily,
  file: GgufHeader,
  values: (tensor: string) => Float32Array,
): Record<string, unknown> {
  const keys = new GgufKeys(file, family.architecture);
  const long = family.longrope ? LONGROPE_KEYS : [];
  const texts = Object.entries(family.texts ?? {});
  keys.only(new Set([...SHARED, ...long, ...Object.keys(family.keys), ...texts.map(([key]) => key)]));
  for (const [key, text] of texts)
    if ((keys.get(key) ?? text) !== text)
      throw unsupported(file, `${family.architecture}.${key} is not ${JSON.stringify(text)}`);
  const sizes = sizesOf(keys, family);
  const { headDim } = sizes;
  if ((keys.optionalCount('attention.value_length') ?? headDim) !== headDim)
    throw unsupported(
      file,
      `${family.architecture}.attention.value_length is not the size of a head, ${headDim}`,
    );
  if (sizes.kvHeads !== sizes.heads && !('attention.head_count_kv' in family.keys))
    throw unsupported(
      file,
      `${family.architecture}.attention.head_count_kv is not that of all heads, ${sizes.heads}`,
    );
  checkExperts(keys);
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2) throw keys.bad('no matrix token_embd.weight');
  const said = Object.entries(family.keys).flatMap(
    ([key, { name, as, absent, none }]): [string, unknown][] => {
      if (none !== undefined && keys.get(key) === none) return [[name, null]];
      if (keys.get(key) !== undefined || absent === undefined) return [[name, keys[as](key)]];
      return absent === null ? [] : [[name, absent]];
    },
  );
  return {
    ...family.config,
    ...Object.fromEntries(said),
    ...Object.fromEntries(
      Object.entries(family.biases ?? {}).map(([name, tensors]) => [name, hasBiases(file, tensors)]),
    ),
    ...Object.fromEntries(
      Object.entries(family.switches ?? {}).map(([name, part]) => [name, hasPart(file, part)]),
    ),
    ...family.derived?.(sizes, (part) => hasPart(file, part)),
    [family.sizes?.hidden ?? 'hidden_size']: sizes.hidden,
    [family.sizes?.heads ?? 'num_attention_heads']: sizes.heads,
    [family.sizes?.layers ?? 'num_hidden_layers']: sizes.layers,
    ...(family.headDim && { [family.headDim]: headDim }),
    ...(family.ropeTheta && rotary(family, keys, { headDim, ropeTheta: family.ropeTheta, values })),
    tie_word_embeddings: !file.tensors.has('output.weight'),
    vocab_size: embedding.shape[0],
    ...tokenId(file, 'bos_token_id', 'bos_token_id'),
    ...tokenId(file, 'eos_token_id', 'eos_token_id'),
    pad_token_id: null, // else transformers takes the family's own, which a smaller vocabulary may not have
    ...tokenId(file, 'padding_token_id', 'pad_token_id'),
  };
}

/** What config.json says of the turning of positions. */
function rotary(
  { architecture, longrope, rotaryShare }: GgufFamily,
  keys: GgufKeys,
  {
    headDim,
    ropeTheta,
    values,
  }: {
    readonly headDim: number;
    readonly ropeTheta: string;
    readonly values: (tensor: string) => Float32Array;
  },
): Record<string, unknown> {
  const turned = keys.optionalCount('rope.dimension_count') ?? headDim;
  if (turned > headDim || (turned !== headDim && rotaryShare === undefined))
    throw unsupported(
      keys.file,
      `${architecture}.rope.dimension_count is not the size of a head, ${headDim}`,
    );
  const theta = keys.get('rope.freq_base') === undefined ? DEFAULT_THETA : keys.positive('rope.freq_base');
  const scaling = longrope ? longropeScaling : ropeScaling;
  return {
    ...(rotaryShare && { [rotaryShare]: shareOf(turned, headDim) }),
    rope_scaling: scaling(keys, { rope_theta: theta, head_dim: turned }, values),
    [ropeTheta]: theta,
  };
}

/** The number of experts, before as many weights are expected: that of any router. */
function checkExperts(keys: GgufKeys): void {
  const count = keys.get('expert_count') ?? 0;
  const router = [...keys.file.tensors.values()].find(({ name }) => name.endsWith('.ffn_gate_inp.weight'));
  if (router && router.shape[0] !== count)
    throw keys.bad(
      `${router.name} is [${router.shape}], ${keys.architecture}.expert_count is ${String(count)}`,
    );
}

/** Every weight of the file, under its Hugging Face name; a tensor without one is `unsupported`. */
export function ggufWeights(family: GgufFamily, file: GgufHeader): readonly GgufWeight[] {
  const sizes = sizesOf(new GgufKeys(file, family.architecture), family);
  const withBias = new Set([...(family.biased ?? []), ...Object.values(family.biases ?? {}).flat()]);
  const inConfig = [
    ...(family.ropeTheta ? [ROPE_FACTORS] : []),
    ...(family.longrope ? LONGROPE_FACTORS : []),
  ];
  const tensors = [...file.tensors.values()].filter(({ name }) => !inConfig.includes(name));
  return tensors.flatMap((tensor) => {
    const [, layer, part = '', leaf] =
      /^(?:blk\.(0|[1-9]\d{0,5})\.)?(.+)\.(weight|bias)$/.exec(tensor.name) ?? [];
    const names = layer === undefined ? family.outside : family.block;
    const rule = Object.hasOwn(names, part) ? names[part]! : undefined;
    if (rule === undefined || Number(layer ?? 0) >= sizes.layers || (leaf === 'bias' && !withBias.has(part)))
      throw unsupported(file, `the tensor ${tensor.name} is not handled`, 'use another conversion');
    const layout: GgufLayout = typeof rule === 'string' ? {} : rule;
    const to = nameOf(rule, (beside) => hasPart(file, beside, layer));
    const prefix = layer === undefined ? '' : `${family.layers}${layer}.`;
    if (layout.rows === 'apart')
      return apart(tensor, sizes, file).map((own, i) => ({
        name: `${prefix}${to.replace('*', `${i}`)}.${leaf}`,
        ...own,
      }));
    return [
      {
        name: `${prefix}${to}.${leaf}`,
        from: tensor.name,
        shape: shapeOf(tensor, layout),
        ...rowsOf(layout, tensor, sizes, file),
        ...(layout.plus !== undefined && { plus: layout.plus }),
      },
    ];
  });
}

/** A tensor's rows, each of them one head's, or its matrices, each of them one expert's. */
function apart(
  { name, shape }: GgufTensor,
  { headDim }: GgufSizes,
  file: GgufHeader,
): readonly Omit<GgufWeight, 'name'>[] {
  const [parts, ...own] = shape as [number, ...number[]];
  const isHeads = own.length === 1 && own[0] === headDim && parts * headDim <= MAX_VECTOR;
  if (!isHeads && own.length !== 2) throw noHeads(name, headDim, file);
  const count = isHeads ? 1 : own[0]!;
  return Array.from({ length: parts }, (_, i) => ({
    from: name,
    shape: own,
    runs: [{ first: i * count, count }],
  }));
}

const noHeads = (name: string, headDim: number, { path }: GgufHeader): WhorlError =>
  new WhorlError('bad-file', `${path}: ${name} does not split into heads of ${headDim}`);

function shapeOf({ shape }: GgufTensor, { rows }: GgufLayout): readonly number[] {
  if (rows === 'transposed') return shape.toReversed();
  return rows === 'one' && shape.length === 1 ? [1, ...shape] : shape;
}

/** How the rows of a tensor with this layout are put in our order. */
function rowsOf(
  { rows }: GgufLayout,
  { name, shape }: GgufTensor,
  { heads, kvHeads, headDim }: GgufSizes,
  file: GgufHeader,
): RowOrder {
  if (rows === undefined || rows === 'one') return {};
  if (rows === 'transposed') return { transposed: true };
  const [count] = shape as [number];
  const fits = rows === 'by-part' ? count === (heads + 2 * kvHeads) * headDim : count % headDim === 0;
  if (shape.length > 2 || (shape.length === 1 && count > MAX_VECTOR) || !fits)
    throw noHeads(name, headDim, file);
  if (rows === 'interleaved') return { headDim };
  return { runs: groupRuns(heads, kvHeads, headDim) };
}

function sizesOf(keys: GgufKeys, { ropeTheta }: GgufFamily): GgufSizes {
  const heads = keys.count('attention.head_count');
  const hidden = keys.count('embedding_length');
  const headDim = keys.optionalCount('attention.key_length') ?? hidden / heads;
  if (!Number.isInteger(headDim) || (ropeTheta && headDim % 2 !== 0))
    throw keys.bad(`${keys.architecture}.embedding_length ${hidden} does not split into ${heads} heads`);
  const kvHeads = keys.optionalCount('attention.head_count_kv') ?? heads;
  if (heads % kvHeads !== 0)
    throw keys.bad(`${keys.architecture}.attention.head_count_kv ${kvHeads} does not divide ${heads} heads`);
  return { hidden, heads, kvHeads, headDim, layers: keys.count('block_count') };
}

/** Our name of a tensor in a block that has other parts of GGUF's, too. */
export const nameOf = (rule: GgufName, has: (part: string) => boolean): string => {
  if (typeof rule === 'string') return rule;
  return rule.beside && has(rule.beside.part) ? rule.beside.to : rule.to;
};

const hasPart = ({ tensors }: GgufHeader, part: string, layer = '0'): boolean =>
  tensors.has(`blk.${layer}.${part}.weight`);

/** A share of `dim` of which transformers, rounding down, makes `turned`. */
const shareOf = (turned: number, dim: number): number =>
  Math.trunc(dim * (turned / dim)) === turned ? turned / dim : (turned + 0.5) / dim;

/** Whether the first block has these biases; Hugging Face's configs know all of a part's or none. */
function hasBiases(file: GgufHeader, parts: readonly string[]): boolean {
  const names = parts.map((part) => `${part}.bias`);
  const there = names.filter((name) => file.tensors.has(`blk.0.${name}`));
  if (there.length > 0 && there.length < names.length)
    throw unsupported(
      file,
      `has ${there.join(', ')} but not all of ${names.join(', ')}`,
      'give the Hugging Face folder',
    );
  return there.length > 0;
}

function tokenId(file: GgufHeader, key: string, name: string): Record<string, number> {
  const value = file.metadata.get(`tokenizer.ggml.${key}`);
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? { [name]: value } : {};
}

const unsupported = (file: GgufHeader, message: string, mend?: string): WhorlError =>
  new WhorlError('unsupported', `${file.path}: ${message}`, mend);
