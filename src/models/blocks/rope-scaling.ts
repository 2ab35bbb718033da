// Kinds of RoPE scaling by Hugging Face's name: which fields each has and how it changes the frequencies. In float32,
// operation by operation as transformers, so that long positions agree with it.

import type { Decoder } from '../family.ts';
import type { Rope, RopeScaling, RopeType } from '../rope.ts';

interface Kind {
  /** Fields that a config has beside `rope_type` and `rope_theta`. */
  readonly fields: readonly string[];
  /** Frequencies of a sequence of `length` tokens: float32 values, [D/2]. */
  readonly frequencies: (rope: Rope, length: number) => number[];
  /** The longest sequence whose frequencies are those of a short one. */
  readonly fixedUpTo: (rope: Rope) => number;
  /** By how much the context is longer than `max_position_embeddings` says. */
  readonly stretch: (rope: Rope) => number;
}

const f32 = Math.fround;
const always = (): number => Number.POSITIVE_INFINITY;

/** theta^(2i/D) */
const powers = (theta: number, { dim: D }: Rope): number[] =>
  Array.from({ length: D / 2 }, (_, i) => f32(theta ** f32((2 * i) / D)));

/** theta^(−2i/D) */
const plain = (theta: number, rope: Rope): number[] => powers(theta, rope).map((power) => f32(1 / power));

export const ROPE_KINDS: Readonly<Record<RopeType, Kind>> = {
  default: {
    fields: [],
    frequencies: (config) => plain(config.rope_theta, config),
    fixedUpTo: always,
    stretch: () => 1,
  },
  // Positions divided by a factor (kaiokendev 2023).
  linear: {
    fields: ['factor'],
    frequencies: (config) =>
      plain(config.rope_theta, config).map((frequency) => f32(frequency / config.rope_scaling.factor)),
    fixedUpTo: always,
    stretch: ({ rope_scaling }) => rope_scaling.factor,
  },
  // "NTK-aware": a larger base for a sequence longer than the model was trained on (bloc97, emozilla 2023).
  dynamic: {
    fields: ['factor'],
    frequencies(config, length) {
      const { dim: D, max_position_embeddings: most, rope_scaling, rope_theta } = config;
      if (length <= most) return plain(rope_theta, config);
      const { factor } = rope_scaling;
      const growth = f32(f32(f32(factor * length) / most) - (factor - 1));
      return plain(f32(rope_theta * f32(growth ** (D / (D - 2)))), config);
    },
    fixedUpTo: ({ max_position_embeddings }) => max_position_embeddings,
    stretch: ({ rope_scaling }) => rope_scaling.factor,
  },
  // Long waves divided by a factor, short ones kept, smoothly in between (Grattafiori et al. 2024).
  llama3: {
    fields: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    frequencies: (config) =>
      plain(config.rope_theta, config).map((frequency) => llama3(frequency, config.rope_scaling)),
    fixedUpTo: always,
    stretch: () => 1,
  },
  // Pairs that turn often are kept, slow ones divided by a factor, a ramp in between (Peng et al. 2023).
  yarn: {
    fields: [
      'factor',
      'original_max_position_embeddings',
      'attention_factor',
      'mscale',
      'mscale_all_dim',
      'beta_fast',
      'beta_slow',
      'truncate',
    ],
    frequencies: yarn,
    fixedUpTo: always,
    // Some configs count the positions that scaling gives in max_position_embeddings, others do not.
    stretch: ({ rope_scaling: { factor, original_max_position_embeddings }, max_position_embeddings }) =>
      Math.max(1, (factor * original_max_position_embeddings) / max_position_embeddings),
  },
  // Each pair has a divisor of its own, and another one beyond the original length (Ding et al. 2024).
  longrope: {
    fields: ['factor', 'original_max_position_embeddings', 'attention_factor', 'short_factor', 'long_factor'],
    frequencies(rope, length) {
      const { original_max_position_embeddings: original, longrope } = rope.rope_scaling;
      const divisors = length > original ? longrope!.long_factor : longrope!.short_factor;
      return powers(rope.rope_theta, rope).map((power, i) => f32(1 / f32(f32(divisors[i]!) * power)));
    },
    fixedUpTo: ({ rope_scaling }) => rope_scaling.original_max_position_embeddings,
    stretch: () => 1,
  },
};

function llama3(frequency: number, scaling: RopeScaling): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const original = scaling.original_max_position_embeddings;
  const wavelength = f32(f32(2 * Math.PI) / frequency);
  if (wavelength < original / high) return frequency;
  if (wavelength > original / low) return f32(frequency / factor);
  const smooth = f32(f32(f32(original / wavelength) - low) / (high - low));
  return f32(f32(f32(f32(1 - smooth) * frequency) / factor) + f32(smooth * frequency));
}

function yarn(rope: Rope): number[] {
  const { dim: D, rope_theta: theta, rope_scaling } = rope;
  const { factor, original_max_position_embeddings: original } = rope_scaling;
  const { beta_fast, beta_slow, truncate } = rope_scaling.yarn!;
  // The pair that turns so often within the original context.
  const pairOf = (turns: number): number =>
    (D * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [pairOf(beta_fast), pairOf(beta_slow)];
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const end = Math.min(truncate ? Math.ceil(slow) : slow, D - 1);
  const width = f32((low === end ? end + 0.001 : end) - low);
  return powers(theta, rope).map((power, i) => {
    const ramp = Math.min(1, Math.max(0, f32(f32(i - f32(low)) / width)));
    const kept = f32(1 - ramp);
    const [own, divided] = [f32(1 / power), f32(1 / f32(factor * power))];
    return f32(f32(divided * f32(1 - kept)) + f32(own * kept));
  });
}

/** The longest sequence a model is meant for, in tokens. */
export const longestSequence = ({ ropes, config }: Pick<Decoder, 'ropes' | 'config'>): number =>
  Math.floor(
    config.max_position_embeddings *
      Math.min(
        ...ropes.map((rope) => ROPE_KINDS[rope.rope_scaling.rope_type].stretch(rope)),
        ropes.length ? Number.POSITIVE_INFINITY : 1,
      ),
  );
