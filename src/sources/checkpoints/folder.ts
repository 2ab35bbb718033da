// Which files of a Hugging Face folder may be opened: plain names inside it, no links, except the links that
// the hub's own cache makes from snapshots/<revision>/ into the same repository's blobs/ (or the store its blobs share).

import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { isNotThere, systemError } from '../../base/system-errors.ts';
import { shown } from './safetensors.ts';

/** A folder that a user named; files in it are reached by `file` only. */
export interface SourceFolder {
  /** As the user gave it, for messages. */
  readonly given: string;
  /** Real path. */
  readonly path: string;
  /** Real paths under which the hub cache keeps blobs, when this is one of its snapshots; else none. */
  readonly blobs: readonly string[];
}

/** Throws `missing-file` unless `given` is a folder. */
export function sourceFolder(given: string): SourceFolder {
  let path: string;
  try {
    path = realpathSync(given);
  } catch (cause) {
    if (!isNotThere(cause)) throw systemError(cause, given, 'reading') ?? cause;
    if (isLink(given)) throw linkToNothing(given, cause);
    throw new WhorlError('missing-file', `${given} does not exist`, 'give a model folder or a .gguf file', {
      cause,
    });
  }
  if (!lstatSync(path).isDirectory()) throw new WhorlError('bad-file', `${given} is not a folder`);
  return { given, path, blobs: blobFolders(path) };
}

/** Newer Python clients keep equal blobs of several repositories once, in a folder that this file marks as theirs. */
const SHARED_MARK = '.huggingface-shared-blobs';

function blobFolders(path: string): string[] {
  const snapshots = dirname(path);
  const repository = dirname(snapshots);
  const blobs = join(repository, 'blobs');
  if (basename(snapshots) !== 'snapshots' || !isFolder(blobs)) return [];
  const shared = join(dirname(repository), 'blobs');
  const marked =
    isFolder(shared) && lstatSync(join(shared, SHARED_MARK), { throwIfNoEntry: false })?.isFile();
  return marked ? [blobs, shared] : [blobs];
}

/** Itself, and no link to one. */
export const isFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

export const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

/** Names that stand in the folder, sorted. */
export const namesIn = (folder: SourceFolder): string[] => readdirSync(folder.path).sort();

/** Real path of the regular file `name`, or undefined where there is none. Throws `bad-file` for links and folders. */
export function fileIn(folder: SourceFolder, name: string): string | undefined {
  refuseStrangeName(name, folder.given);
  const path = join(folder.path, name);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isFile()) return path;
  if (!stats.isSymbolicLink())
    throw new WhorlError('bad-file', `${shownIn(folder, name)} is not a regular file`);
  if (folder.blobs.length > 0) {
    const target = realTarget(path, folder, name);
    if (folder.blobs.some((blobs) => target.startsWith(blobs + sep))) return target;
  }
  throw new WhorlError(
    'bad-file',
    `${shownIn(folder, name)} is a link`,
    'copy the file itself into the folder (links are followed only inside the hub cache)',
  );
}

function realTarget(path: string, folder: SourceFolder, name: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw linkToNothing(shownIn(folder, name), cause);
  }
}

/** In the hub's cache and anywhere else: what it led to went away. */
export const linkToNothing = (path: string, cause?: unknown): WhorlError =>
  new WhorlError(
    'missing-file',
    `${path} is a link to nothing`,
    'mend the link, or download the model again',
    { cause },
  );

/** The same rules on every system, so that a folder means the same everywhere. */
export function refuseStrangeName(name: string, where: string): void {
  const strange =
    name.length === 0 ||
    name.length > 255 ||
    name.startsWith('.') ||
    /[/\\:*?"<>|\p{Cc}\p{Surrogate}]/u.test(name) ||
    /[. ]$/.test(name) ||
    /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name);
  if (strange)
    throw new WhorlError(
      'bad-file',
      `${where} names the file ${shown(name)}, which is not a plain name inside the folder`,
    );
}

export const shownIn = (folder: SourceFolder, name: string): string => join(folder.given, name);
