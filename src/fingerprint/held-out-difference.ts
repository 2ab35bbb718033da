// What every run ends with: vanilla and published at each position of the reference set's held-out text, by the code of
// `whorl compare`.

import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import { compareModels, type Difference, heldOutTexts } from '../lm/compare-models.ts';
import { asking } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions } from '../models/open-model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

export interface Perplexity {
  readonly name: string;
  readonly tokens: number;
  /** e to the mean negative log-likelihood of a token, under each model. */
  readonly vanilla: number;
  readonly published: number;
}

export interface HeldOutDifference {
  readonly perplexity: readonly Perplexity[];
  /** Language by language, then `all`. */
  readonly difference: readonly Difference[];
}

/** What of a run's setting it takes. */
interface Asked {
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  readonly options: ConfigOptions;
  readonly onEvent: OnEvent;
}

/** @param published a folder whose tokenizer is the vanilla model's */
export function heldOutDifference(
  { model, device, tokenizer, options, onEvent }: Asked,
  published: string,
): Promise<HeldOutDifference> {
  const open = { device, ...configOptions(options) };
  return asking({ kind: 'model', model, tokenizer }, open, (vanilla) =>
    asking({ kind: 'model', model: published, tokenizer }, open, async (changed) => {
      const name = 'held-out text';
      const { languages, all } = await compareModels(vanilla, changed, heldOutTexts(), { onEvent, name });
      const perplexity = languages.map((each) => ({
        name: each.name,
        tokens: each.positions,
        vanilla: each.before,
        published: each.after,
      }));
      return { perplexity, difference: [...languages, all] };
    }),
  );
}
