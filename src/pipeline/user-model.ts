// `alpaca` mode: the published model fine-tuned by a user on a data set, as the paper's users do it.

import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { nearest, WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { type InstructionRow, readInstructionRows } from '../fingerprint/instruction-rows.ts';
import { applyTemplate, loadTemplate } from '../fingerprint/templates.ts';
import { LocalModel } from '../lm/local-model.ts';
import { openModel } from '../models/open-model.ts';
import { FINETUNE, type FinetuneSettings, finetune } from '../train/finetune.ts';
import { promptAndAnswer } from '../train/tuning-examples.ts';

export interface UserSettings {
  readonly epochs: number;
  readonly lr: number;
  readonly batch: number;
  /** Share of the steps in which the rate rises. */
  readonly warmup_ratio: number;
  readonly max_length: number;
  /** Most tokens run at a time; the gradient is the whole batch's all the same. */
  readonly batch_tokens: number;
  readonly seed: number;
}

/** The paper's users: 3 epochs, 2e-6, batches of 80, cosine, warm-up .03, no weight decay. */
export const USER: UserSettings = {
  epochs: 3,
  lr: 2e-6,
  batch: 80,
  warmup_ratio: 0.03,
  max_length: 512,
  batch_tokens: 2048,
  seed: 42,
};

const PREFIX = 'user.';

/** Splits `user.epochs=2` and the like off the fingerprint's own settings. @throws WhorlError `usage` */
export function splitSettings(given: Readonly<Record<string, string>>): {
  user: UserSettings;
  own: Record<string, string>;
} {
  const user: Record<string, number> = { ...USER };
  const own: Record<string, string> = {};
  for (const [key, text] of Object.entries(given)) {
    if (!key.startsWith(PREFIX)) {
      own[key] = text;
      continue;
    }
    const name = key.slice(PREFIX.length);
    const value = Number(text);
    if (!Object.hasOwn(USER, name)) {
      const near = nearest(name, Object.keys(USER));
      throw new WhorlError(
        'usage',
        `${key}=${text}: users have no setting ${name}${near ? ` (did you mean ${PREFIX}${near}?)` : ''}`,
        `settings: ${Object.keys(USER)
          .map((known) => PREFIX + known)
          .join(', ')}`,
      );
    }
    const whole = name !== 'lr' && name !== 'warmup_ratio';
    if (text.trim() === '' || !Number.isFinite(value) || value < 0 || (whole && !Number.isSafeInteger(value)))
      throw new WhorlError('usage', `${key}=${text} is no such number`, `give ${key}=${user[name]}, say`);
    user[name] = value;
  }
  return { user: user as unknown as UserSettings, own };
}

export interface Task {
  readonly name: string;
  readonly path: string;
}

/** `--task_name`: a file, or a set's name that lies under dataset/ or here. @throws WhorlError `missing-file` */
export function findTask(named: string): Task {
  const places = [named, join('dataset', `${named}.json`), join('dataset', named), `${named}.json`];
  const path = places.find((place) => existsSync(place));
  if (path === undefined)
    throw new WhorlError(
      'missing-file',
      `no data set ${named}: neither ${places.join(' nor ')} is there`,
      `make it with whorl dataset ${basename(named)} --source FILE --out dataset/${basename(named)}.json`,
    );
  return { name: basename(path, extname(path)), path };
}

/** Every usable row. */
export const readTask = async ({ path }: Task): Promise<readonly InstructionRow[]> =>
  (await readInstructionRows(path, Number.MAX_SAFE_INTEGER)).rows;

/** Writes the folder `out`, whole or not at all; a run that was killed goes on from `checkpoint`. */
export async function tuneUserModel(
  published: string,
  rows: readonly InstructionRow[],
  out: string,
  checkpoint: string,
  user: UserSettings,
  onEvent: OnEvent,
): Promise<void> {
  const opened = await openModel(published);
  const { model, tokenizer } = await LocalModel.open(opened);
  const template = loadTemplate('alpaca');
  const prompts = await tokenizer.encodeBatch(rows.map((row) => applyTemplate(template, row)));
  const answers = await tokenizer.encodeBatch(
    rows.map(({ output }) => output),
    { addSpecialTokens: false },
  );
  const examples = prompts.map((prompt, i) =>
    promptAndAnswer(prompt, [...answers[i]!, ...tokenizer.eosIds.slice(0, 1)]),
  );
  const { epochs, lr, batch, max_length, batch_tokens, warmup_ratio, seed } = user;
  const settings: FinetuneSettings = {
    ...FINETUNE,
    epochs,
    lr,
    batch,
    max_length,
    batch_tokens,
    seed: BigInt(seed),
    warmup: Math.ceil(warmup_ratio * epochs * Math.ceil(examples.length / batch)),
  };
  await finetune(opened, model, examples, out, settings, onEvent, {
    checkpoint: { path: checkpoint, seconds: 60 },
  });
}
