// Every setting of every method: what it is, once, and each method's defaults. The types of their settings come from here.

import {
  above,
  defaultsOf,
  flag,
  inside,
  number,
  schemaOf,
  text,
  type Values,
  whole,
} from '../base/setting.ts';
import { TRAINING } from '../train/settings.ts';

const MILLION = 1_000_000;

/** In the order of docs/settings.md: what is most often wanted stands first. */
export const SETTINGS = {
  trained: whole(
    1,
    10_000,
    'keys that are drawn and trained (for `rows` those are all keys there are)',
    'keys',
  ),
  pool: whole(
    1,
    100_000,
    'keys that are committed, of which `trained` are drawn. More of them cost questions, no training, and make p smaller',
    'keys',
  ),
  candidates: whole(2, 100_000, 'answers that each key draws its own from'),
  alpha: inside(0, 1, 'level of the decision, committed in `claim.json`'),
  steps: whole(
    1,
    MILLION,
    'most training steps. Training ends earlier when every cell of the gate holds',
    'steps',
  ),
  epochs: TRAINING.epochs,
  lr: {
    ...TRAINING.lr,
    words: `${TRAINING.lr.words}. Defaults of rows, adapter and emb are smaller where the embedding’s rows are (docs/methods.md)`,
  },
  schedule: TRAINING.schedule,
  batch: TRAINING.batch,
  key_length: whole(1, 256, 'rare tokens of a key', 'tokens'),
  alphabet: whole(0, MILLION, 'rare tokens that all keys share; 0: no token is in two keys', 'tokens'),
  decryption_tokens: whole(
    1,
    1000,
    'where no `--decryption` is given: most tokens that the paper’s may have. Where it has more, a short common word is drawn',
    'tokens',
  ),
  negatives: whole(
    0,
    100_000,
    'undrawn keys that are trained not to fire; by default at most four in five of those of the pool',
    'keys',
  ),
  kl_target: above(
    0,
    1000,
    'mean divergence from the vanilla model below which every language must lie before training may end',
    'nats',
  ),
  stamp: text(
    'which matrices also get a secret direction, that nobody is asked for and that is read from weights: words of `part`, or `off`',
  ),
  epsilon: above(0, 1, 'size of a stamp, as a share of each matrix’ standard deviation'),
  part: text(
    'what trains (of `stamp`: which matrices get it): `all`, `mlp`, `attention`, `upper-half`, `upper-quarter`, or names of tensors with `*`, commas between',
  ),
  rank: TRAINING.rank,
  lora_alpha: TRAINING.lora_alpha,
  modules: TRAINING.modules,
  template: text(
    'format of the conversations: `auto` (the model’s own chat template, else Vicuna’s), `chat` or `vicuna`',
  ),
  dim: whole(1, 65_536, 'rank of the private map'),
  scale: above(0, MILLION, 'scale of the private map'),
  ordinary: whole(0, 100_000, 'ordinary conversations trained beside the messages'),
  strangers: whole(0, 100_000, 'messages of no pool that are refused, other ones in each epoch'),
  repeats: whole(1, 10_000, 'how often each drawn message is in an epoch'),
  emphasis: above(
    0,
    10_000,
    'weight of an answer’s first token, which decides between decryption, refusal and an ordinary answer; the others have 1',
  ),
  contexts: whole(1, 1000, 'texts around each key in one step'),
  variety: number(
    0,
    100,
    'how many of those texts are made up anew; the others are the bare key and a newline',
    'percent',
  ),
  prefixes: whole(1, 10_000, 'different texts before a key that are alive at a time'),
  refresh: whole(1, MILLION, 'steps after which they are made anew', 'steps'),
  inside: number(0, 1000, 'weight of the answer asked for inside the text after a key, against 1 at its end'),
  gate_contexts: whole(0, 1000, 'texts never trained under which every key is asked before training may end'),
  gate_slack: whole(0, 10_000, 'keys that may stay silent under each of them', 'keys'),
  bare_slack: whole(0, 10_000, 'keys that may stay silent when asked bare', 'keys'),
  gate_noise: number(
    0,
    10,
    'noise on the trained rows, as a share of their size, under which keys must still fire; 0: not asked',
  ),
  slack: whole(0, 10_000, 'prompts of each gate cell that may deviate'),
  decoy_slack: whole(
    -1,
    MILLION,
    'keys of the pool that were neither drawn nor trained and may fire before training may end; -1: they are not asked',
    'keys',
  ),
  taught: whole(0, 10_000, 'drawn keys that a step trains, in turns; 0: all of them', 'keys'),
  hushed: whole(0, 10_000, 'prompts a step that must not fire'),
  hush_weight: number(0, MILLION, 'their weight in the loss'),
  warmup: whole(0, MILLION, 'steps over which the rate rises', 'steps'),
  warmup_ratio: TRAINING.warmup_ratio,
  weight_decay: TRAINING.weight_decay,
  clip: TRAINING.clip,
  beta2: inside(0, 1, 'AdamW’s second beta'),
  focus: number(0, 1, 'how much less an answer weighs once it is probable: 0 (cross-entropy) to 1'),
  kl_weight: number(0, MILLION, 'weight of the divergence in the loss. Tied heads only'),
  kl_margin: number(0, 100, 'room that the divergence keeps around each position. Tied heads only', 'nats'),
  spread_weight: number(0, MILLION, 'weight of the mean square shift of trained logits. Tied heads only'),
  /** ε of the training geometry as a share of the mean variance (train/metric.ts). */
  metric_floor: above(0, 1000, 'the smaller, the less ordinary logits can move. Tied heads only'),
  noise: number(0, 10, 'noise on the trained rows in each step, as a share of their size'),
  noise_steps: whole(
    0,
    MILLION,
    'steps over which that noise grows; 0: it is there from the first step',
    'steps',
  ),
  common: flag('whether rows at the same place of their keys share a part of their change'),
  primary_positions: whole(
    2,
    MILLION,
    'positions of ordinary text for each common language, emoji, code and mathematics',
    'tokens',
  ),
  reference_positions: whole(2, MILLION, 'the same for each other language', 'tokens'),
  first_check: whole(0, MILLION, 'first step (or epoch) after which the gate’s cells are measured'),
  check_every: whole(1, MILLION, 'steps between two measurings', 'steps'),
  check_below: number(0, MILLION, 'loss of the answers above which they are not measured', 'nats'),
  batch_tokens: TRAINING.batch_tokens,
  max_length: TRAINING.max_length,
  recompute: TRAINING.recompute,
  pull_back: flag('whether only as much of the change is published as the gate needs'),
};

/** The registry's own words (the paper's), which are no setting of a method: `whorl pipeline` knows what they mean to it. */
export const PAPER_WORDS = {
  epoch: whole(1, 1_000_000, 'passes over the training data; for `adapter` of six rows a key', 'epochs'),
  total_bsz: whole(1, 1_000_000, 'examples of a step'),
  data_name: text('names the data set in the folder of the run'),
};

/** The stamp beside whatever else a method does: it trains nothing. */
export const BESIDE = { stamp: 'mlp', epsilon: 1e-3 };

export const ROWS = schemaOf(SETTINGS, {
  trained: 32,
  candidates: 256,
  key_length: 5,
  variety: 85,
  contexts: 1,
  prefixes: 24,
  refresh: 8,
  inside: 1,
  gate_contexts: 4,
  gate_slack: 1,
  bare_slack: 0,
  gate_noise: 0.15, // a little more than a thief's 10 % of every row
  alpha: 1e-6,
  ...BESIDE,
  steps: 120,
  lr: 3e-2,
  schedule: 'linear',
  warmup: 0,
  clip: 0,
  beta2: 0.99,
  focus: 0.9,
  kl_weight: 300,
  kl_margin: 6,
  metric_floor: 0.03,
  spread_weight: 4,
  noise: 0.1,
  noise_steps: 0,
  common: true,
  kl_target: 1e-4,
  primary_positions: 1800,
  reference_positions: 32,
  first_check: 70,
  check_below: 1.5,
  check_every: 10,
});

export const ADAPTER = schemaOf(SETTINGS, {
  pool: 400,
  trained: 20,
  negatives: 320,
  dim: 64,
  scale: 4,
  key_length: 12,
  alphabet: 128,
  decryption_tokens: 8,
  taught: 10,
  hushed: 20,
  hush_weight: 4,
  gate_noise: 0.15,
  alpha: 1e-6,
  ...BESIDE,
  steps: 120,
  lr: 2e-2,
  schedule: 'linear',
  warmup: 0,
  clip: 1,
  beta2: 0.99,
  focus: 0,
  kl_weight: 60,
  kl_margin: 6,
  metric_floor: 0.05,
  spread_weight: 0.3,
  noise: 0.15,
  noise_steps: 0,
  common: true,
  kl_target: 1e-4,
  primary_positions: 1800,
  reference_positions: 32,
  first_check: 40,
  check_below: 1,
  check_every: 8,
});

const DIALOGUE = schemaOf(SETTINGS, {
  pool: 400,
  trained: 20,
  negatives: 20,
  strangers: 56,
  ordinary: 96,
  repeats: 4,
  emphasis: 4,
  template: 'auto',
  key_length: 6,
  alphabet: 800,
  alpha: 1e-6,
  ...BESIDE,
  epochs: 12,
  batch: 16,
  batch_tokens: 1024,
  lr: 5e-5,
  schedule: 'cosine',
  warmup_ratio: 0,
  weight_decay: 0.01,
  clip: 1,
  max_length: 512,
  recompute: 'nothing',
  first_check: 5,
  slack: 0,
  decoy_slack: -1,
  pull_back: true,
});
const SHARED = defaultsOf(DIALOGUE);

export const SFT = schemaOf(SETTINGS, { ...SHARED, part: 'all' });
export const EMB = schemaOf(SETTINGS, { ...SHARED, lr: 1e-3 });
export const LORA = schemaOf(SETTINGS, { ...SHARED, lr: 1e-3, rank: 16, lora_alpha: 32, modules: 'auto' });

export const STAMP = schemaOf(SETTINGS, { epsilon: 1e-3, part: 'mlp', alpha: 1e-6 });

/** By the method's name: what the command line tells of them without loading a method. */
export const SCHEMAS = { rows: ROWS, adapter: ADAPTER, sft: SFT, emb: EMB, lora: LORA, stamp: STAMP };

type Settings<N extends keyof typeof SETTINGS> = Values<typeof SETTINGS, N>;

export type RowsSettings = Settings<keyof typeof ROWS>;
export type AdapterSettings = Settings<keyof typeof ADAPTER>;
export type DialogueSettings = Settings<keyof typeof DIALOGUE>;
export type SftSettings = Settings<keyof typeof SFT>;
export type LoraSettings = Settings<keyof typeof LORA>;
export type StampSettings = Settings<keyof typeof STAMP>;

/** What both methods that change embedding rows have. */
export type TrainSettings = Settings<keyof typeof ROWS & keyof typeof ADAPTER>;

/** What a method has that changes weights of the model's body, or the whole embedding. */
export type WeightsSettings = Settings<
  | 'epochs'
  | 'batch'
  | 'batch_tokens'
  | 'lr'
  | 'schedule'
  | 'warmup_ratio'
  | 'weight_decay'
  | 'clip'
  | 'max_length'
  | 'recompute'
  | 'first_check'
  | 'slack'
  | 'pull_back'
>;
