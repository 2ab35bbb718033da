// What `yarn` and `longrope` have in a config beside numbers that must be there: their own rules for what is left out.

import type { RopeScaling, RopeType } from './rope.ts';

/** The object that says how RoPE is scaled, and what its rules need of the rest of the config. */
export interface RopeFields {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Elements of a head that turn. */
  readonly dim: number;
  readonly max_position_embeddings: number;
  readonly original_max_position_embeddings: number;
  /** A positive number, or the fallback where there is none. */
  number(name: string, fallback?: unknown): number;
  refuse(name: string, wanted: string): never;
}

type Scaling = Pick<RopeScaling, 'factor' | 'attention_factor' | 'yarn' | 'longrope'>;

/** Kinds that do more than to read numbers. */
export const SCALINGS: { readonly [T in RopeType]?: (at: RopeFields) => Scaling } = { yarn, longrope };

/** YaRN's growth of attention's scores: 0.1·mscale·ln(factor) + 1. */
const growth = (factor: number, mscale = 1): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

function yarn(at: RopeFields): Scaling {
  const { fields, number } = at;
  // null is written where the ratio of the two lengths is meant; a factor that is not there at all is a mistake.
  const factor = number('factor', fields.factor === null ? ratio(at) : undefined);
  // As transformers: zero stands for "not given", and one of the two alone means nothing.
  const given = (name: string, fallback: number): number =>
    fields[name] === 0 ? fallback : number(name, fallback);
  const [mscale, all] = [given('mscale', 1), given('mscale_all_dim', 1)];
  const both = fields.mscale && fields.mscale_all_dim;
  const own = both ? growth(factor, mscale) / growth(factor, all) : growth(factor);
  const truncate = fields.truncate ?? true;
  if (typeof truncate !== 'boolean') at.refuse('truncate', 'true or false');
  const [beta_fast, beta_slow] = [given('beta_fast', 32), given('beta_slow', 1)];
  if (beta_fast < beta_slow) at.refuse('beta_fast', 'at least beta_slow');
  return {
    factor,
    attention_factor: number('attention_factor', own),
    yarn: { beta_fast, beta_slow, truncate },
  };
}

/** LongRoPE's growth of cos and sin for a context that is longer by `factor`. */
export const longropeGrowth = (factor: number, original: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));

function longrope(at: RopeFields): Scaling {
  const original = at.original_max_position_embeddings;
  const factor = at.number('factor', ratio(at));
  return {
    factor,
    attention_factor: at.number('attention_factor', longropeGrowth(factor, original)),
    longrope: { short_factor: divisors(at, 'short_factor'), long_factor: divisors(at, 'long_factor') },
  };
}

const ratio = (at: RopeFields): number => at.max_position_embeddings / at.original_max_position_embeddings;

function divisors({ fields, dim, refuse }: RopeFields, name: string): readonly number[] {
  const list = fields[name];
  const fits =
    Array.isArray(list) &&
    list.length === dim / 2 &&
    list.every((x) => typeof x === 'number' && Number.isFinite(x) && x > 0);
  return fits ? (list as number[]) : refuse(name, `a list of ${dim / 2} positive numbers`);
}
