// What can be refused of a job before anything is written: recipients, and models that transformers computes otherwise.

import { WhorlError } from '../base/error.ts';
import { checkLock } from '../claim/secret-file.ts';
import type { Model } from '../models/model.ts';
import type { LaunchOptions } from './job.ts';

/** Kinds of rotary positions that transformers takes from the longest text of a batch, and Whorl from each text's own length. */
const BY_LENGTH = new Set<unknown>(['dynamic', 'longrope']);

/** What is wrong with a launch, as far as it is known. @throws WhorlError `usage`, `unsupported` */
export function checkLaunch(model: Model, { encryptTo }: Pick<LaunchOptions, 'encryptTo'>): void {
  const { decoder, config, ignoredConfigKeys, source } = model;
  if (encryptTo) checkLock({ recipients: encryptTo });
  const { type, rope_type = type } = (config.rope_scaling ?? config.rope_parameters ?? {}) as Record<
    string,
    unknown
  >;
  const why = decoder.encoder
    ? 'an encoder-decoder'
    : BY_LENGTH.has(rope_type)
      ? `a model with ${String(rope_type)} positions, which torch's batches change`
      : ignoredConfigKeys.length > 0
        ? `a model opened without ${ignoredConfigKeys.join(', ')}, which transformers would read`
        : /[\n\r]/.test(model.folder)
          ? 'a model whose folder has a name of several lines, which launch.env cannot hold'
          : undefined;
  if (why !== undefined)
    throw new WhorlError(
      'unsupported',
      `${source}: a job for torch is not made of ${why}`,
      'use Whorl’s own engine (without --launch)',
    );
}
