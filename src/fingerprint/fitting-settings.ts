// The settings that a method takes for a model which is open, and all that can be refused of the two without any work: for a
// run before it begins, and for `whorl doctor`, which says of every method whether it would.

import { WhorlError } from '../base/error.ts';
import type { Model } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkFits } from '../train/settings-fit.ts';
import { buildOf } from './build.ts';
import type { Method, SettingsOf } from './methods/method.ts';
import { narrowWords, registryName, settingsFor } from './registry.ts';
import { type BesideSettings, checkBeside } from './stamp-plan.ts';

interface Fitting<M extends Method> {
  readonly settings: SettingsOf<M>;
  /** What a narrow model takes instead of the defaults, in words. */
  readonly note: string | undefined;
}

/** The methods of the paper's mT5, each of which has a test there. */
const ON_ENCODER_DECODERS: ReadonlySet<string> = new Set(['adapter', 'sft']);

/**
 * @param overrides key=value as the user wrote them
 * @param limit most harm at which the run is published, in nats
 * @throws WhorlError `unsupported`, `usage`, `too-few-rows`, `too-harmful`
 */
export function fittingSettings<M extends Method>(
  method: M,
  model: Model,
  tokenizer: Tokenizer,
  overrides: Readonly<Record<string, string>>,
  limit: number,
): Fitting<M> {
  const { encoder, model_type, config } = model.decoder;
  if (encoder && !ON_ENCODER_DECODERS.has(method.name))
    throw new WhorlError(
      'unsupported',
      `method ${method.name} was not seen to hold on encoder-decoders such as ${model_type}`,
      `take --method ${[...ON_ENCODER_DECODERS].join(' or ')}, or a model without an encoder`,
    );
  const build = buildOf(model);
  const settings = settingsFor(method, registryName(model), overrides, build);
  const full = settings as Readonly<Record<string, unknown>>;
  const note = narrowWords(method, build, overrides, limit, full);
  checkFits(full, config);
  if (method.kind !== 'rows') method.check(settings, model, tokenizer);
  checkBeside(full as BesideSettings, model);
  return { settings, note };
}
