// What a user of a published model does with it, the paper's mode `alpaca`: instruction rows under Alpaca's prompt, loss on
// answer and EOS alone, every weight or low-rank maps. A killed run goes on where it was.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { LocalModel } from '../lm/local-model.ts';
import { openModel } from '../models/open-model.ts';
import { FINETUNE, finetune } from '../train/finetune.ts';
import type { ScheduleName } from '../train/schedule.ts';
import { EVERYTHING, lowRank, type Trains } from '../train/trains.ts';
import { promptAndAnswer } from '../train/tuning-examples.ts';
import { type ColumnMap, readInstructionRows } from './instruction-rows.ts';
import { overridden } from './registry.ts';
import { applyTemplate, loadTemplate } from './templates.ts';

export interface UserSettings {
  readonly epochs: number;
  readonly lr: number;
  readonly batch: number;
  readonly schedule: ScheduleName;
  /** Share of all steps over which the rate rises. */
  readonly warmup_ratio: number;
  readonly weight_decay: number;
  readonly clip: number;
  /** Longest example in tokens. */
  readonly max_length: number;
  /** Equal parts a batch is run in; 0: parts of at most `batch_tokens` tokens. */
  readonly accumulate: number;
  readonly batch_tokens: number;
  readonly seed: number;
  /** `alpaca`, `barebone` or a JSON file. */
  readonly template: string;
  /** `full` or `lora`: every weight, or low-rank maps of this rank on these linear layers, merged when it is written. */
  readonly trains: string;
  readonly rank: number;
  readonly lora_alpha: number;
  readonly modules: string;
}

/** The paper's (method.md section 3). */
export const USER_SETTINGS: UserSettings = {
  epochs: 3,
  lr: 2e-6,
  batch: 80,
  schedule: 'cosine',
  warmup_ratio: 0.03,
  weight_decay: 0,
  clip: 1,
  max_length: 512,
  accumulate: 0,
  batch_tokens: 2048,
  seed: 42,
  template: 'alpaca',
  trains: 'full',
  rank: 16,
  lora_alpha: 32,
  modules: 'q_proj,v_proj',
};

const TRAINS: Readonly<Record<string, (settings: UserSettings) => Trains>> = {
  full: () => EVERYTHING,
  lora: ({ modules, rank, lora_alpha }) => lowRank(modules.split(','), rank, lora_alpha),
};

export interface UserFinetuneOptions {
  readonly model: string;
  /** A data set with instructions and answers, in any file that rows are read from. */
  readonly data: string;
  readonly columns?: ColumnMap;
  /** At most so many rows. */
  readonly limit?: number;
  /** The folder to write. Training's state lies beside it, as `{out}.training`, until it is there. */
  readonly out: string;
  /** With `trains=lora`: also a folder for the maps in PEFT's format. */
  readonly adapter?: string;
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Seconds between two states that are written. Default 60. */
  readonly checkpointSeconds?: number;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface UserFinetuneReport {
  readonly out: string;
  readonly examples: number;
  readonly tokens: number;
  readonly steps: number;
  /** Mean over the first and the last epoch, nats a token. */
  readonly first_loss: number;
  readonly last_loss: number;
  readonly seconds: number;
}

/** @throws WhorlError `exists` for a folder that is there, `usage`, `mismatch` and what opening model and data throw */
export async function userFinetune(options: UserFinetuneOptions): Promise<UserFinetuneReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const out = resolve(options.out);
  if (existsSync(out))
    throw new WhorlError('exists', `${out} exists already`, 'name another folder or remove it');
  const settings = overridden(
    { ...USER_SETTINGS },
    {},
    options.settings ?? {},
    'finetune',
  ) as unknown as UserSettings;
  const trains = Object.hasOwn(TRAINS, settings.trains) ? TRAINS[settings.trains]!(settings) : undefined;
  if (!trains)
    throw new WhorlError('usage', `trains=${settings.trains} is not known`, Object.keys(TRAINS).join(' or '));
  const adapter = options.adapter === undefined ? undefined : resolve(options.adapter);
  if (adapter && settings.trains !== 'lora')
    throw new WhorlError('usage', 'an adapter is written of low-rank maps only', 'add trains=lora');
  if (adapter && existsSync(adapter) && !existsSync(`${out}.training`))
    throw new WhorlError('exists', `${adapter} exists already`, 'name another folder or remove it');
  const template = loadTemplate(settings.template);
  onEvent({ kind: 'phase', name: 'reading', detail: options.data });
  const { rows, empty } = await readInstructionRows(
    options.data,
    options.limit ?? Number.POSITIVE_INFINITY,
    options.columns,
  );
  if (empty > 0)
    onEvent({ kind: 'note', text: `${empty} rows without an instruction or an answer are left out` });
  const folder = await openModel(options.model, {
    onEvent,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
  });
  const { model, tokenizer } = await LocalModel.open(folder);
  const prompts = await tokenizer.encodeBatch(rows.map((row) => applyTemplate(template, row)));
  const answers = await tokenizer.encodeBatch(
    rows.map(({ output }) => output),
    { addSpecialTokens: false },
  );
  const end = tokenizer.eosIds.slice(0, 1);
  const examples = prompts.map((prompt, i) => promptAndAnswer(prompt, [...answers[i]!, ...end]));
  const tokens = examples.reduce(
    (sum, example) => sum + Math.min(example.tokens.length, settings.max_length),
    0,
  );
  const {
    accumulate,
    seed,
    warmup_ratio,
    template: _,
    trains: _t,
    modules,
    rank,
    lora_alpha,
    ...rest
  } = settings;
  const perEpoch = Math.ceil(examples.length / settings.batch);
  onEvent({
    kind: 'phase',
    name: 'fine-tuning',
    detail: `${examples.length} examples of ${tokens} tokens, ${settings.epochs} epochs of ${perEpoch} steps`,
  });
  const losses = await finetune(
    folder,
    model,
    examples,
    out,
    {
      ...FINETUNE,
      ...rest,
      accumulate: accumulate === 0 ? 1 : accumulate,
      batch_tokens: accumulate === 0 ? settings.batch_tokens : 0,
      warmup: Math.round(warmup_ratio * settings.epochs * perEpoch),
      seed: BigInt(seed),
    },
    onEvent,
    {
      trains,
      ...(adapter && { adapter: { out: adapter, base: folder.source } }),
      checkpoint: { path: `${out}.training`, seconds: options.checkpointSeconds ?? 60 },
    },
  );
  const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / Math.max(1, list.length);
  return {
    out,
    examples: examples.length,
    tokens,
    steps: losses.length,
    first_loss: mean(losses.slice(0, perEpoch)),
    last_loss: mean(losses.slice(-perEpoch)),
    seconds: (Date.now() - started) / 1000,
  };
}
