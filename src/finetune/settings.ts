// Settings of a user's fine-tuning: the paper's defaults, `key=value` over them, and what they mean for `finetune`.

import { WhorlError } from '../base/error.ts';
import {
  choice,
  number,
  type Schema,
  schemaOf,
  text,
  type Values,
  whole,
  withOverrides,
} from '../base/setting.ts';
import { loadTemplate } from '../text/prompts/instruction-templates.ts';
import { type FinetuneSettings, SHUFFLE_NAMES } from '../train/finetune.ts';
import { partSize } from '../train/micro-batches.ts';
import { TRAINING } from '../train/settings.ts';
import { isGroup, type Trains } from '../train/trains.ts';

const SETTINGS = {
  ...TRAINING,
  accumulate: whole(1, 10_000, 'parts that a batch is computed in; 1: as many as `batch_tokens` asks for'),
  shuffle: choice(
    SHUFFLE_NAMES,
    'order of the rows: `torch`, as transformers’ Trainer takes them with the same seed, or `whorl`, Whorl’s own',
  ),
  template: text('prompt format: `alpaca`, `barebone` or a JSON file'),
  checkpoint_every: number(0, 1_000_000, 'seconds between checkpoints', 'seconds'),
  r: TRAINING.rank,
  alpha: TRAINING.lora_alpha,
  dropout: number(0, 1, 'of the low-rank maps; must be 0, since the graph has no op for it'),
  target_modules: TRAINING.modules,
};

/** The paper's `alpaca` mode: AdamW, cosine with warm-up over 3 % of the steps, no weight decay, batches of 80. */
const PAPER: Omit<Values<typeof SETTINGS>, 'recompute' | 'modules' | 'rank' | 'lora_alpha' | LoraName> = {
  epochs: 3,
  lr: 2e-6,
  batch: 80,
  accumulate: 1,
  batch_tokens: 4096,
  schedule: 'cosine',
  warmup_ratio: 0.03,
  weight_decay: 0,
  clip: 1,
  max_length: 512,
  shuffle: 'torch',
  template: 'alpaca',
  checkpoint_every: 120,
};
type LoraName = 'r' | 'alpha' | 'dropout' | 'target_modules';

/** Of a user's fine-tuning of all weights. */
export const FULL = schemaOf(SETTINGS, PAPER);
/** The paper's LoRA but for its dropout of 0.05. */
export const LORA = schemaOf(SETTINGS, { ...PAPER, r: 16, alpha: 32, dropout: 0, target_modules: 'auto' });

export type TuningSettings = typeof PAPER & { readonly lora?: LoraSettings };

interface LoraSettings {
  readonly r: number;
  readonly alpha: number;
  /** Names of linear layers, or their ends; `auto`: those that PEFT takes of the family. */
  readonly targets: readonly string[];
}

/** @throws WhorlError `usage` for an unknown key (with the nearest one) or a value that cannot be */
export function tuningSettings(
  overrides: Readonly<Record<string, string>>,
  lora: boolean,
  prefix = '',
): TuningSettings {
  const whose = lora ? 'fine-tuning with --lora' : 'fine-tuning (without --lora)';
  const known: Schema = lora ? LORA : FULL;
  const { r, alpha, dropout, target_modules, ...settings } = withOverrides(known, overrides, {
    whose,
    prefix,
    list: `whorl finetune ${lora ? '--lora ' : ''}--help lists them`,
  }) as Values<typeof SETTINGS, keyof typeof LORA>;
  partSize(settings.batch, settings.accumulate);
  loadTemplate(settings.template);
  if (!lora) return settings;
  if (dropout !== 0)
    throw new WhorlError('unsupported', `dropout=${dropout}: LoRA trains without dropout here`, 'dropout=0');
  const targets = target_modules.split(',').map((name) => name.trim());
  return { ...settings, lora: { r, alpha, targets } };
}

/** What trains: all weights, or low-rank maps on the layers whose name is a target or ends with `.target`. */
export const trainsOf = ({ lora }: TuningSettings, names: Iterable<string>): Trains => {
  if (!lora) return { kind: 'tensors', names: ['*'] };
  const present = new Set(names);
  return {
    kind: 'low-rank',
    names: lora.targets.map((target) =>
      isGroup(target) ? target : present.has(`${target}.weight`) ? `${target}.weight` : `*.${target}.weight`,
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
    schedule: settings.schedule,
    warmup: Math.ceil(settings.warmup_ratio * steps),
    weight_decay: settings.weight_decay,
    decay: 'matrices',
    clip: settings.clip,
    accumulate: settings.accumulate,
    batch_tokens: settings.accumulate > 1 ? 0 : settings.batch_tokens,
    seed,
    shuffle: settings.shuffle,
    max_length: settings.max_length,
  };
}
