// Which values each numeric setting may have, whatever the method: checked before anything is opened, fetched or written.
// What depends on the model (a rank above its width, more keys than tokens) is checked as soon as its config is read.

import { WhorlError } from '../base/error.ts';
import type { DecoderConfig } from '../models/family.ts';

interface Range {
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
  /** Whether the bounds themselves are no values. */
  readonly open: 'neither' | 'least' | 'both';
}

const whole = (least: number, most: number): Range => ({ least, most, whole: true, open: 'neither' });
const number = (least: number, most: number): Range => ({ least, most, whole: false, open: 'neither' });
const above = (least: number, most: number): Range => ({ least, most, whole: false, open: 'least' });
const between = (least: number, most: number): Range => ({ least, most, whole: false, open: 'both' });

const MILLION = 1_000_000;
const FACTOR = number(0, MILLION);
const LENGTH = whole(2, MILLION);

/** By the setting's name, which means the same in every method. */
const RANGES: Readonly<Record<string, Range>> = {
  accumulate: whole(1, 10_000),
  alphabet: whole(0, MILLION),
  alpha: above(0, MILLION), // of fine-tuning; the level of a claim is `LEVEL`
  bare_slack: whole(0, 10_000),
  batch: whole(1, 100_000),
  batch_tokens: whole(2, 100 * MILLION),
  beta2: between(0, 1),
  candidates: whole(2, 100_000),
  check_below: FACTOR,
  check_every: whole(1, MILLION),
  checkpoint_every: number(0, MILLION),
  clip: FACTOR,
  contexts: whole(1, 1000),
  dim: whole(1, 65_536),
  dropout: number(0, 1),
  emphasis: above(0, 10_000),
  epochs: whole(1, 100_000),
  epsilon: above(0, 1),
  first_check: whole(0, MILLION),
  focus: number(0, 1),
  gate_contexts: whole(0, 1000),
  gate_noise: number(0, 10),
  gate_slack: whole(0, 10_000),
  hush_weight: FACTOR,
  hushed: whole(0, 10_000),
  inside: number(0, 1000),
  key_length: whole(1, 256),
  kl_margin: number(0, 100),
  kl_target: above(0, 1000),
  kl_weight: FACTOR,
  lora_alpha: above(0, MILLION),
  lr: above(0, 1000),
  max_length: LENGTH,
  metric_floor: above(0, 1000),
  negatives: whole(0, 100_000),
  noise: number(0, 10),
  ordinary: whole(0, 100_000),
  pool: whole(1, 100_000),
  prefixes: whole(1, 10_000),
  primary_positions: LENGTH,
  r: whole(1, 65_536),
  rank: whole(1, 65_536),
  reference_positions: LENGTH,
  refresh: whole(1, MILLION),
  repeats: whole(1, 10_000),
  scale: above(0, MILLION),
  slack: whole(0, 10_000),
  spread_weight: FACTOR,
  steps: whole(1, MILLION),
  strangers: whole(0, 100_000),
  trained: whole(1, 10_000),
  variety: number(0, 100),
  warmup: whole(0, MILLION),
  warmup_ratio: number(0, 1),
  weight_decay: number(0, 1000),
};
/** `alpha` of a method is the level of the claim's decision. */
const LEVEL = between(0, 1);

/** Whether a setting of this name has a range; tests ask it of every numeric default. */
export const hasRange = (key: string): boolean => Object.hasOwn(RANGES, key);

/** @param isClaim whether these are a method's settings, whose `alpha` is a level */
export function inRange(key: string, value: number, isClaim: boolean): boolean {
  const range = rangeOf(key, isClaim);
  if (range === undefined) return Number.isFinite(value) && value >= 0;
  const { least, most, whole: isWhole, open } = range;
  if (isWhole && !Number.isSafeInteger(value)) return false;
  const over = open === 'neither' ? value >= least : value > least;
  return over && (open === 'both' ? value < most : value <= most);
}

/** "a whole number from 1 to 10000". */
export function rangeWords(key: string, isClaim: boolean): string {
  const range = rangeOf(key, isClaim);
  if (range === undefined) return 'a number from 0';
  const { least, most, whole: isWhole, open } = range;
  const what = isWhole ? 'a whole number' : 'a number';
  if (open === 'both') return `${what} between ${least} and ${most}`;
  return open === 'least' ? `${what} above ${least}, up to ${most}` : `${what} from ${least} to ${most}`;
}

const rangeOf = (key: string, isClaim: boolean): Range | undefined => {
  if (key === 'alpha' && isClaim) return LEVEL;
  return Object.hasOwn(RANGES, key) ? RANGES[key] : undefined;
};

type Settings = Readonly<Record<string, unknown>>;

/** What settings must be to each other. @throws WhorlError `usage` */
export function checkTogether(settings: Settings): void {
  const { pool, trained, negatives } = settings as Record<string, number | undefined>;
  if (pool !== undefined && trained !== undefined && trained + (negatives ?? 0) > pool)
    throw new WhorlError(
      'usage',
      `trained=${trained} and negatives=${negatives ?? 0} are drawn from a pool=${pool} that has fewer keys`,
      `raise pool to ${trained + (negatives ?? 0)}, or lower the others`,
    );
}

/** What a model's sizes allow. @throws WhorlError `usage`, `too-few-rows` */
export function checkFits(settings: Settings, config: DecoderConfig): void {
  for (const key of ['dim', 'rank', 'r'])
    if (typeof settings[key] === 'number' && settings[key] > config.hidden_size)
      throw new WhorlError(
        'usage',
        `${key}=${settings[key]} is more than this model's width of ${config.hidden_size}`,
        `give ${key}=${Math.min(16, config.hidden_size)}, say`,
      );
  const { trained, pool, key_length, alphabet } = settings as Record<string, number | undefined>;
  if (trained === undefined || key_length === undefined) return;
  const isShared = alphabet !== undefined && alphabet > 0;
  const needed = isShared ? alphabet : (pool ?? trained) * key_length;
  if (needed > config.vocab_size)
    throw new WhorlError(
      'too-few-rows',
      `${isShared ? `alphabet=${alphabet}` : `${pool === undefined ? `trained=${trained}` : `pool=${pool}`} keys of key_length=${key_length}`} need ${needed} tokens, and this model has ${config.vocab_size}`,
      `lower ${isShared ? 'alphabet' : pool === undefined ? 'trained' : 'pool'} or key_length`,
    );
}
