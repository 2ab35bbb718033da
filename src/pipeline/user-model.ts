// `alpaca` mode: where a user's data set lies, and the published model fine-tuned on it as the paper's users do.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import { userFinetune, workFolder } from '../finetune/user-finetune.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import { tunedFolder } from '../runs/paper-folder.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { digestOf, type Ledger } from './ledger.ts';

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
  return { name: basename(path, extname(path)), path };
}

/** The user's model, whole or absent; a killed training is gone on with, one of other rows or settings is not. */
export async function makeUserModel(
  run: RunFolder,
  ledger: Ledger,
  task: Task,
  settings: Readonly<Record<string, string>>,
  onEvent: OnEvent,
  place: ConfigOptions & { readonly cacheDir?: string; readonly device: Device },
): Promise<void> {
  const folder = tunedFolder(run.path, task.name);
  const name = basename(folder);
  const claim = createHash('sha256').update(readFileSync(run.claim)).digest('hex');
  const of = digestOf([digestFile(task.path), Object.entries(settings).sort(), claim]);
  if (ledger.madeFrom(name) !== of) {
    if (existsSync(folder))
      throw new WhorlError(
        'mismatch',
        `${folder} was made from other rows or with other settings`,
        'move it away to make it anew',
      );
    rmSync(workFolder(folder), { recursive: true, force: true });
    ledger.note(name, of, true); // before it is made: a folder that is there then says what it is of
  }
  if (existsSync(folder)) return onEvent({ kind: 'note', text: `alpaca: ${folder} is done` });
  await userFinetune({
    model: run.published,
    data: task.path,
    out: folder,
    settings,
    onEvent,
    ...place,
  });
}
