// `alpaca` mode: where a user's data set lies, and the published model fine-tuned on it as the paper's users do.

import { existsSync, rmSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { tuningSettings } from '../finetune/settings.ts';
import { launchFinetune, userFinetune, workFolder } from '../finetune/user-finetune.ts';
import { isWaiting, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { configOptions } from '../models/open-model.ts';
import { answerFiles, checkName, tunedFolder } from '../runs/paper-folder.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { digestRows } from '../sources/digest-rows.ts';
import type { MadeFrom } from './ledger.ts';
import { opening, type RunPlace } from './place.ts';

export const PREFIX = 'alpaca.';

/** Splits the user's settings (`alpaca.epochs=2`) off the fingerprint's. */
export function splitSettings(given: Readonly<Record<string, string>>): {
  user: Record<string, string>;
  own: Record<string, string>;
} {
  const [user, own]: [Record<string, string>, Record<string, string>] = [{}, {}];
  for (const [key, value] of Object.entries(given))
    if (key.startsWith(PREFIX)) user[key.slice(PREFIX.length)] = value;
    else own[key] = value;
  return { user, own };
}

export interface Task {
  /** Goes into the names of folders and files. */
  readonly name: string;
  readonly path: string;
}

/** `--task-name`: a file, or a set's name that lies under dataset/ or here. @throws WhorlError `missing-file` */
export function findTask(named: string): Task {
  const places = [named, join('dataset', `${named}.json`), join('dataset', named), `${named}.json`];
  const path = places.find((place) => existsSync(place));
  if (path === undefined)
    throw new WhorlError(
      'missing-file',
      `no data set ${named}: neither ${places.join(' nor ')} is there`,
      `make it with whorl dataset ${basename(named)} --source FILE --out dataset/${basename(named)}.json`,
    );
  const name = basename(resolve(path), extname(path));
  checkName('--task_name', name);
  // `publish_verdict.json` and `x_direct_verdict.json` are of others.
  if (name === 'vanilla' || name === 'publish' || name.endsWith('_direct'))
    throw new WhorlError(
      'usage',
      `--task_name ${name}: files of that name are not the user's`,
      'give the data set another name',
    );
  return { name, path };
}

/** The user's model as it stands, before anything is done about it. */
interface FoundUserModel {
  readonly folder: string;
  readonly name: string;
  readonly from: MadeFrom;
  readonly differ: readonly string[] | undefined;
  /** Digest of the folder; undefined where there is none. */
  readonly now: string | undefined;
  /** It is not the one that was made here. */
  readonly isReplaced: boolean;
  /** Why it cannot be taken for the one that is asked for. */
  readonly refusal: WhorlError | undefined;
}

/** What stands where the user's model goes; nothing is written. */
export async function findUserModel(
  place: RunPlace,
  task: Task,
  settings: Readonly<Record<string, string>>,
): Promise<FoundUserModel> {
  const { run, ledger, models } = place;
  const folder = tunedFolder(run.path, task.name);
  const name = basename(folder);
  const from = {
    data: digestRows(task.path),
    settings: Object.entries(tuningSettings(settings, false, PREFIX)).sort(([a], [b]) => (a < b ? -1 : 1)),
    claim: digestFile(run.claim),
    'published model': await models.digests(run.published),
    'ignored config keys': configOptions(place).ignoreConfigKeys ?? [],
  };
  const differ = ledger.differences(name, from);
  const found = { folder, name, from, differ };
  if (!existsSync(folder)) return { ...found, now: undefined, isReplaced: false, refusal: undefined };
  const made = ledger.madeFolder(name);
  const now = await digestOfFolder(place, folder);
  const isReplaced = made !== null && made !== now;
  const why =
    differ === undefined
      ? 'was not made here'
      : differ.length > 0
        ? `was made from other rows or with other settings (${differ.join(', ')})`
        : 'is not the model that was made here';
  const refusal =
    isReplaced || differ?.length !== 0
      ? new WhorlError(
          'mismatch',
          `${folder} ${why}`,
          'move it away to make it anew, or verify it as it is without the mode alpaca',
        )
      : undefined;
  return { ...found, now, isReplaced, refusal };
}

/**
 * The user's model, whole or absent; a killed training is gone on with, and a job that is not done comes back. @throws WhorlError `mismatch` for a folder of other
 * rows, settings or published model, or one that was replaced
 */
export async function makeUserModel(
  place: RunPlace,
  task: Task,
  settings: Readonly<Record<string, string>>,
  launch?: LaunchOptions,
): Promise<WaitingJob | undefined> {
  const { run, ledger, onEvent } = place;
  const found = await findUserModel(place, task, settings);
  const { folder, name, from, differ, now } = found;
  if (now !== undefined) {
    if (found.isReplaced) dropAnswers(place, task.name); // of a model that is gone
    if (found.refusal) throw found.refusal;
    if (ledger.madeFolder(name) === null) ledger.noteFolder(name, from, now);
    onEvent({ kind: 'note', text: `alpaca: ${folder} is done` });
    return undefined;
  }
  if (differ === undefined || differ.length > 0 || ledger.madeFolder(name) !== null)
    rmSync(workFolder(folder), { recursive: true, force: true });
  ledger.noteFolder(name, from, null); // before it is made: a folder that is there then says what it is of
  const asked = {
    model: run.published,
    data: task.path,
    out: folder,
    settings,
    onEvent,
    device: place.device,
    ...opening(place),
  };
  const made = await (launch ? launchFinetune({ ...asked, launch }) : userFinetune(asked));
  if (isWaiting(made)) return made;
  ledger.noteFolder(name, from, await digestOfFolder(place, folder));
  return undefined;
}

const digestOfFolder = async ({ models }: RunPlace, folder: string): Promise<string> => {
  const { weights, tokenizer, config } = await models.digests(folder);
  return sha256Hex([weights, tokenizer, config].join('\n'));
};

function dropAnswers({ ledger, run }: RunPlace, task: string): void {
  const verdicts = [`${task}_verdict.json`, `${task}_direct_verdict.json`];
  const own = answerFiles(run.path).files.filter((file) => file.task === task);
  for (const file of [...verdicts, ...own.map(({ file: name }) => name)]) ledger.drop(file);
}
