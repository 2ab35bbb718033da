// RoPE scaling of a GGUF as config.json says it: keys of `<architecture>.rope.*`, and the tensor `rope_freqs.weight` in which
// llama.cpp's converter leaves llama3's four numbers multiplied out, one factor a frequency; LongRoPE's divisors are two more.

import { WhorlError } from '../base/error.ts';
import type { GgufEntry } from '../sources/checkpoints/write-gguf.ts';
import { ROPE_KINDS } from './blocks/rope-scaling.ts';
import { type GgufKeys, shortest } from './gguf-keys.ts';
import type { Rope, RopeType } from './rope.ts';
import { longropeGrowth } from './rope-fields.ts';

export const ROPE_FACTORS = 'rope_freqs.weight';
const LONGROPE = { short_factor: 'rope_factors_short.weight', long_factor: 'rope_factors_long.weight' };
export const LONGROPE_FACTORS: readonly string[] = Object.values(LONGROPE);
/** Keys of files with these tensors alone. */
export const LONGROPE_KEYS: readonly string[] = ['rope.scaling.attn_factor'];

/** Closeness of a recovered factor to the file's float32: far below what any other round numbers would give. */
const TOLERANCE = 1e-4;

export interface RopeHead {
  readonly rope_theta: number;
  /** Elements of a head that turn. */
  readonly head_dim: number;
}

/** `rope_scaling` of config.json, or null. @param values the elements of a tensor of the file */
export function ropeScaling(
  keys: GgufKeys,
  head: RopeHead,
  values: (tensor: string) => Float32Array,
): Record<string, unknown> | null {
  const { file } = keys;
  const keyed = scalingOf(keys);
  if (!file.tensors.has(ROPE_FACTORS)) return keyed;
  const factors = factorsOf(keys, ROPE_FACTORS, head, values);
  if (factors.every((factor) => factor === 1)) return keyed;
  const found = keyed === null ? llama3From(factors, head) : undefined;
  if (found === undefined)
    throw new WhorlError(
      'unsupported',
      `${file.path}: the factors of ${ROPE_FACTORS} are not those of a llama3 scaling`,
      'give the Hugging Face folder',
    );
  return found;
}

/** A factor or divisor for each pair. */
function factorsOf(
  { file }: GgufKeys,
  name: string,
  { head_dim }: RopeHead,
  values: (tensor: string) => Float32Array,
): Float32Array {
  const shape = file.tensors.get(name)?.shape ?? [];
  if (shape.length !== 1 || shape[0] !== head_dim / 2)
    throw new WhorlError('bad-file', `${file.path}: ${name} is [${shape}], not [${head_dim / 2}]`);
  return values(name);
}

/** `rope_scaling` of a family that may have LongRoPE, or null. Without `attn_factor` llama.cpp lets cos and sin as they are. */
export function longropeScaling(
  keys: GgufKeys,
  head: RopeHead,
  values: (tensor: string) => Float32Array,
): Record<string, unknown> | null {
  if (!LONGROPE_FACTORS.some((name) => keys.file.tensors.has(name))) return ropeScaling(keys, head, values);
  const original = keys.count('rope.scaling.original_context_length');
  const [attn] = LONGROPE_KEYS;
  const said = keys.get(attn!) === undefined ? 1 : keys.positive(attn!);
  const own = longropeGrowth(keys.count('context_length') / original, original);
  const lists = Object.entries(LONGROPE).map(([name, tensor]) => [
    name,
    [...factorsOf(keys, tensor, head, values)].map(shortest),
  ]);
  return {
    rope_type: 'longrope',
    ...Object.fromEntries(lists),
    ...(Math.fround(own) !== Math.fround(said) && { attention_factor: said }),
  };
}

// llama.cpp takes a factor without a type as linear, and `rope.scale_linear` as its older name.
function scalingOf(keys: GgufKeys): Record<string, unknown> | null {
  const { architecture, file } = keys;
  const type = keys.get('rope.scaling.type') ?? 'linear';
  if (type === 'none') return null;
  if (type === 'yarn') return yarnScaling(keys);
  if (type !== 'linear')
    throw new WhorlError(
      'unsupported',
      `${file.path}: ${architecture}.rope.scaling.type ${JSON.stringify(type)} is not handled`,
      'Whorl reads none, linear, yarn, and rope_freqs.weight of llama3',
    );
  const factor = keys.get('rope.scaling.factor') ?? keys.get('rope.scale_linear') ?? 0;
  if (typeof factor !== 'number' || !Number.isFinite(factor) || factor < 0)
    throw new WhorlError(
      'bad-file',
      `${file.path}: ${architecture}.rope.scaling.factor is not a positive number`,
    );
  return factor === 0 || factor === 1 ? null : { rope_type: 'linear', factor: Math.fround(factor) };
}

// llama.cpp's own where the file has no such key are those of transformers.
function yarnScaling(keys: GgufKeys): Record<string, unknown> {
  const betas = Object.entries(YARN_BETAS).flatMap(([name, key]) =>
    keys.get(key) === undefined ? [] : [[name, keys.positive(key)]],
  );
  return {
    rope_type: 'yarn',
    factor: keys.positive('rope.scaling.factor'),
    original_max_position_embeddings: keys.count('rope.scaling.original_context_length'),
    ...Object.fromEntries(betas),
  };
}

const YARN_BETAS = { beta_fast: 'rope.scaling.yarn_beta_fast', beta_slow: 'rope.scaling.yarn_beta_slow' };
export const YARN_KEYS: readonly string[] = Object.values(YARN_BETAS);

export interface RopeOut {
  /** Keys without the architecture. */
  readonly entries: readonly (readonly [string, GgufEntry])[];
  readonly tensors?: readonly (readonly [string, Float32Array])[];
}

/** How a GGUF says the scaling of these positions; undefined where it has no word for it. @param longrope whether it may be that */
export function ropeOut(rope: Rope, longrope: boolean): RopeOut | undefined {
  const { rope_type } = rope.rope_scaling;
  return rope_type === 'longrope' && !longrope ? undefined : WORDS[rope_type]?.(rope);
}

const float = (value: number): GgufEntry => ({ type: 'float32', value });
const WORDS: { readonly [T in RopeType]?: (rope: Rope) => RopeOut } = {
  default: () => ({ entries: [] }),
  linear: ({ rope_scaling: { factor } }) => ({
    entries: [
      ['rope.scaling.type', { type: 'string', value: 'linear' }],
      ['rope.scaling.factor', float(factor)],
    ],
  }),
  yarn: ({ rope_scaling: { factor, original_max_position_embeddings: original, yarn } }) => ({
    entries: [
      ['rope.scaling.type', { type: 'string', value: 'yarn' }],
      ['rope.scaling.factor', float(factor)],
      ['rope.scaling.original_context_length', { type: 'uint32', value: original }],
      [YARN_BETAS.beta_fast, float(yarn!.beta_fast)],
      [YARN_BETAS.beta_slow, float(yarn!.beta_slow)],
    ],
  }),
  llama3: (rope) => {
    const [plain, scaled] = [ROPE_KINDS.default, ROPE_KINDS.llama3].map((kind) => kind.frequencies(rope, 1));
    const factors = Float32Array.from(plain!, (frequency, i) => frequency / scaled![i]!);
    return { entries: [], tensors: [[ROPE_FACTORS, factors]] };
  },
  // The length that it was made for is a key of the family's, which has it in any of its files.
  longrope: ({ rope_scaling: { attention_factor, longrope } }) => ({
    entries: [[LONGROPE_KEYS[0]!, float(attention_factor ?? 1)]],
    tensors: [
      [LONGROPE.long_factor, Float32Array.from(longrope!.long_factor)],
      [LONGROPE.short_factor, Float32Array.from(longrope!.short_factor)],
    ],
  }),
};

/**
 * The numbers that give these factors. Only two of low, high and the original length count beside `factor` (all three
 * may be scaled together), and in between the two the inverse factor is a straight line over the frequency: so with low
 * taken as 1, two points give the others. Where fewer lie in between, Llama 3's own are tried.
 */
export function llama3From(
  factors: Float32Array,
  { rope_theta, head_dim }: RopeHead,
): Record<string, unknown> | undefined {
  const factor = Math.max(...factors);
  const between = [...factors].flatMap((f, i) => {
    const smooth = (1 / f - 1 / factor) / (1 - 1 / factor);
    return smooth > 1e-5 && smooth < 1 - 1e-5
      ? [{ smooth, waves: rope_theta ** ((-2 * i) / head_dim) / (2 * Math.PI) }]
      : [];
  });
  const candidates = [{ high: 4, original: 8192 }];
  const [first, last] = [between[0], between.at(-1)];
  if (first && last && first !== last) {
    const slope = (first.smooth - last.smooth) / (first.waves - last.waves);
    const atZero = slope * first.waves - first.smooth; // low / (high − low)
    candidates.unshift({
      high: Math.round(1000 * (1 + 1 / atZero)) / 1000,
      original: Math.round(slope / atZero),
    });
  }
  return candidates
    .map(({ high, original }) => ({
      rope_type: 'llama3' as const,
      factor,
      low_freq_factor: 1,
      high_freq_factor: high,
      original_max_position_embeddings: original,
    }))
    .find((rope_scaling) => {
      const rope = {
        dim: head_dim,
        interleaved: false,
        rope_theta,
        rope_scaling,
        max_position_embeddings: 1,
      };
      const [plain, scaled] = [ROPE_KINDS.default, ROPE_KINDS.llama3].map((kind) =>
        kind.frequencies(rope, 1),
      );
      return factors.every((f, i) => Math.abs(plain![i]! / scaled![i]! / f - 1) < TOLERANCE);
    });
}
