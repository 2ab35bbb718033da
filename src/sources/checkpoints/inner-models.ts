// A folder that is no model and holds some: checkpoints of a training, a repository of the hub's cache, models side by side.
// Which of them is meant, in words.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { isFolder, namesIn, type SourceFolder, shownIn } from './folder.ts';
import { wholeGgufs } from './gguf-parts.ts';

const CHECKPOINT = /^(?:checkpoint|step|epoch|global_step|iter)[-_]?(\d+)$/i;
/** Folders that are looked into, of each level: enough for any tree that a person laid out. */
const MOST_FOLDERS = 100;
const MOST_NAMED = 3;

/** The error that names the models inside; undefined where there are none. */
export function innerModels(folder: SourceFolder): WhorlError | undefined {
  const names = namesIn(folder);
  return hubRepository(folder, names) ?? checkpoints(folder, names) ?? anyModels(folder, names);
}

/** `models--org--name` of the hub's cache: refs/main says which snapshot is the branch's. */
function hubRepository(folder: SourceFolder, names: readonly string[]): WhorlError | undefined {
  const snapshots = join(folder.path, 'snapshots');
  if (!names.includes('snapshots') || !(names.includes('refs') || names.includes('blobs'))) return undefined;
  const commits = subfolders(snapshots);
  const main = join(folder.path, 'refs', 'main');
  const branch = existsSync(main) ? readFileSync(main, 'utf8').trim() : '';
  const commit = commits.includes(branch) ? branch : commits.at(-1);
  const [, org, name] = /^models--([\w.-]+?)--([\w.-]+)$/.exec(basename(folder.path)) ?? [];
  const id = org === undefined ? '' : `, or its id: ${org}/${name}`;
  return new WhorlError(
    'missing-file',
    `${folder.given} is a repository in the hub's cache, not a model`,
    commit === undefined
      ? `nothing of it has been fetched: download the model again${id}`
      : `give its snapshot: ${shownIn(folder, `snapshots/${commit}`)}${id}`,
  );
}

/** The newest is the one with the largest number. */
export function checkpoints(folder: SourceFolder, names: readonly string[]): WhorlError | undefined {
  const numbered = names
    .flatMap((name) => {
      const number = CHECKPOINT.exec(name)?.[1];
      const kind = number === undefined ? undefined : kindOf(join(folder.path, name));
      return kind === undefined ? [] : [{ path: shownIn(folder, name), number: Number(number), kind }];
    })
    .sort((a, b) => b.number - a.number);
  const newest = numbered[0];
  if (newest === undefined) return undefined;
  return new WhorlError(
    'missing-file',
    `${folder.given} holds ${numbered.length === 1 ? 'a checkpoint' : `${numbered.length} checkpoints`} of a training and no model of its own`,
    newest.kind === 'adapter'
      ? `the newest is an adapter, to be merged with its base: whorl merge --model BASE --adapter ${newest.path} --out NEW`
      : `give the newest: ${newest.path}`,
  );
}

function anyModels(folder: SourceFolder, names: readonly string[]): WhorlError | undefined {
  const inside = (name: string): string[] => {
    const path = join(folder.path, name);
    if (!isFolder(path)) return [];
    if (kindOf(path)) return [name];
    const ggufs = wholeGgufs(listed(path)).map((file) => `${name}/${file}`);
    return ggufs.length > 0
      ? ggufs
      : subfolders(path).flatMap((deeper) => (kindOf(join(path, deeper)) ? [`${name}/${deeper}`] : []));
  };
  const found = names
    .slice(0, MOST_FOLDERS)
    .filter((name) => !name.startsWith('.') && name !== 'blobs')
    .flatMap(inside);
  if (found.length === 0) return undefined;
  const more = found.length > MOST_NAMED ? ` or ${found.length - MOST_NAMED} more` : '';
  const paths = found.slice(0, MOST_NAMED).map((name) => shownIn(folder, name));
  return new WhorlError(
    'missing-file',
    `${folder.given} has no config.json`,
    `give the model inside: ${paths.join(' or ')}${more}`,
  );
}

/** One that may not be read holds nothing that could be named. */
function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Named in the order of their names. @param path of a folder, or of none */
const subfolders = (path: string): string[] =>
  isFolder(path)
    ? listed(path)
        .sort()
        .filter((name) => isFolder(join(path, name)))
        .slice(0, MOST_FOLDERS)
    : [];

function kindOf(path: string): 'model' | 'adapter' | undefined {
  if (existsSync(join(path, 'config.json'))) return 'model';
  return existsSync(join(path, 'adapter_config.json')) ? 'adapter' : undefined;
}
