// What an attack is: what a thief may do to a published folder, with its settings, and how the result is written.

import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import type { Schema } from '../base/setting.ts';
import type { Model } from '../models/model.ts';
import { type RowPatch, writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';

/** What a thief knows or holds beside the published folder. */
export interface Knowledge {
  /** Ids of the trained rows; empty where the attack needs none. */
  readonly rows: readonly number[];
  readonly vanilla?: Model;
}

/** The tensors' rows that change, and what there is to say of it. */
export interface Attacked {
  readonly patches: ReadonlyMap<string, RowPatch>;
  readonly figures: Readonly<Record<string, number>>;
}

export interface Attack<K extends string = string> {
  /** One line of the help. */
  readonly words: string;
  readonly settings: Schema<Readonly<Record<K, number>>>;
  /** Without which it cannot be made. */
  readonly needs: readonly (keyof Knowledge)[];
  /** What was done, for a table. */
  title(settings: Readonly<Record<K, number>>): string;
  make(victim: Model, settings: Readonly<Record<K, number>>, knowledge: Knowledge): Attacked;
}

/** The name of the file in an attacked folder that says what was done to it. */
const ATTACK_FILE = 'attack.json';

export interface Done {
  readonly attack: string;
  readonly settings: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number>>;
}

/** Writes `out`: the victim's folder with the attack's rows, and `attack.json`. Throws `exists`, `mismatch`, `changed`. */
export async function writeAttacked(
  victim: Model,
  out: string,
  { attack, settings }: { readonly attack: readonly [string, Attack]; readonly settings: Done['settings'] },
  knowledge: Knowledge,
  onEvent?: OnEvent,
): Promise<Done> {
  const [name, { make }] = attack;
  const { patches, figures } = make(victim, settings, knowledge);
  const done = { attack: name, settings, figures };
  const also = (folder: string) =>
    writeFileAtomic(join(folder, ATTACK_FILE), `${JSON.stringify(done, null, 2)}\n`);
  await writePatchedFolder(victim, out, patches, { also, ...(onEvent && { onEvent }) });
  return done;
}
