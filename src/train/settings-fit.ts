// What settings must be to each other, and to the model that they are for: its sizes are known as soon as its config is
// read. What each may be alone stands in its schema (base/setting.ts).

import { WhorlError } from '../base/error.ts';
import type { DecoderConfig } from '../models/family.ts';

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
        `give ${key}=${config.hidden_size}, or less`,
      );
  const { trained, pool, key_length, alphabet } = settings as Record<string, number | undefined>;
  const needed = keyTokens(settings);
  if (needed === undefined) return;
  const isShared = alphabet !== undefined && alphabet > 0;
  if (needed > config.vocab_size)
    throw new WhorlError(
      'too-few-rows',
      `${isShared ? `alphabet=${alphabet}` : `${pool === undefined ? `trained=${trained}` : `pool=${pool}`} keys of key_length=${key_length}`} need ${needed} tokens, and this model has ${config.vocab_size}`,
      `lower ${isShared ? 'alphabet' : pool === undefined ? 'trained' : 'pool'} or key_length`,
    );
}

/** Rare tokens that the keys of these settings are made of; undefined where there are none. */
export function keyTokens(settings: Settings): number | undefined {
  const { trained, pool, key_length, alphabet } = settings as Record<string, number | undefined>;
  if (trained === undefined || key_length === undefined) return undefined;
  return alphabet !== undefined && alphabet > 0 ? alphabet : (pool ?? trained) * key_length;
}
