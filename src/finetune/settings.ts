// Settings of a user's fine-tuning: the paper's defaults, `key=value` over them, and what they mean for `finetune`.

import { WhorlError } from '../base/error.ts';
import { loadTemplate } from '../text/prompts/instruction-templates.ts';
import type { FinetuneSettings } from '../train/finetune.ts';
import { partSize } from '../train/micro-batches.ts';
import type { ScheduleName } from '../train/schedule.ts';
import { withOverrides } from '../train/settings.ts';
import type { Trains } from '../train/trains.ts';

/** The paper's `alpaca` mode: AdamW, cosine with warm-up over 3 % of the steps, no weight decay, batches of 80. */
const DEFAULTS = {
  epochs: 3,
  lr: 2e-6,
  batch: 80,
  accumulate: 1,
  /** Most tokens in one run of the engine, where `accumulate` does not say how a batch is split. */
  batch_tokens: 4096,
  schedule: 'cosine',
  /** Share of the steps over which the rate rises. */
  warmup_ratio: 0.03,
  weight_decay: 0,
  clip: 1,
  max_length: 512,
  template: 'alpaca',
  /** Seconds between checkpoints. */
  checkpoint_every: 120,
};

/** The paper's LoRA but for its dropout of 0.05, which the graph has no op for. */
const LORA_DEFAULTS = { ...DEFAULTS, r: 16, alpha: 32, dropout: 0, target_modules: 'q_proj,v_proj' };

export type TuningSettings = typeof DEFAULTS & { readonly lora?: LoraSettings };

interface LoraSettings {
  readonly r: number;
  readonly alpha: number;
  /** Names of linear layers, or their ends. */
  readonly targets: readonly string[];
}

/** @throws WhorlError `usage` for an unknown key (with the nearest one) or a value that cannot be */
export function tuningSettings(
  overrides: Readonly<Record<string, string>>,
  lora: boolean,
  prefix = '',
): TuningSettings {
  const known: Readonly<Record<string, string | number | boolean>> = lora ? LORA_DEFAULTS : DEFAULTS;
  const whose = lora ? 'fine-tuning with --lora' : 'fine-tuning (without --lora)';
  const { r, alpha, dropout, target_modules, ...settings } = withOverrides(known, overrides, {
    whose,
    prefix,
  }) as unknown as typeof LORA_DEFAULTS;
  partSize(settings.batch, settings.accumulate);
  loadTemplate(settings.template);
  if (!lora) return settings;
  if (dropout !== 0)
    throw new WhorlError('unsupported', `dropout=${dropout}: LoRA trains without dropout here`, 'dropout=0');
  return { ...settings, lora: { r, alpha, targets: target_modules.split(',').map((name) => name.trim()) } };
}

/** What trains: all weights, or low-rank maps on the layers whose name is a target or ends with `.target`. */
export const trainsOf = ({ lora }: TuningSettings, names: Iterable<string>): Trains => {
  if (!lora) return { kind: 'tensors', names: ['*'] };
  const present = new Set(names);
  return {
    kind: 'low-rank',
    names: lora.targets.map((target) =>
      present.has(`${target}.weight`) ? `${target}.weight` : `*.${target}.weight`,
    ),
    rank: lora.r,
    alpha: lora.alpha,
  };
};

/** For so many examples. As transformers rounds: up, so that a short run warms up for a step at least. */
export function finetuneSettings(settings: TuningSettings, examples: number, seed: bigint): FinetuneSettings {
  const steps = settings.epochs * Math.ceil(examples / settings.batch);
  return {
    epochs: settings.epochs,
    batch: settings.batch,
    lr: settings.lr,
    schedule: settings.schedule as ScheduleName,
    warmup: Math.ceil(settings.warmup_ratio * steps),
    weight_decay: settings.weight_decay,
    decay: 'matrices',
    clip: settings.clip,
    accumulate: settings.accumulate,
    batch_tokens: settings.accumulate > 1 ? 0 : settings.batch_tokens,
    seed,
    max_length: settings.max_length,
  };
}
