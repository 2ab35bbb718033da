// What a suspect, a data folder or another input of a task is, by its bytes.

import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkAborted } from '../base/abort.ts';
import { sha256Hex } from '../base/sha256.ts';
import { isThere } from '../base/system-errors.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { ggufParts } from '../sources/checkpoints/gguf-parts.ts';

/** Whether a file of a model's folder counts: what tools leave there (`.cache`, `.DS_Store`) does not. */
const counts = (name: string): boolean => !name.startsWith('.');

/** sha256, hex, of a model's files: of a folder those that lie in it, of a GGUF all its parts. Reads each byte once. */
export const digestModel = (path: string): string =>
  statSync(path).isDirectory()
    ? digestOf(
        path,
        readdirSync(path).filter((name) => counts(name) && statSync(join(path, name)).isFile()),
      )
    : sha256Hex(JSON.stringify(ggufParts(path).map((part) => [basename(part), digestFile(part)])));

/** The same of all files at any depth. */
export const digestTree = (folder: string): string =>
  digestOf(
    folder,
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(folder, name)).isFile(),
    ),
  );

/** Of a model that may lie elsewhere: then its name is all that is known. */
export const digestOrName = (model: string): string =>
  isThere(model) ? digestModel(model) : `name:${model}`;

function digestOf(folder: string, names: readonly string[]): string {
  const digests = names.toSorted().map((name) => {
    checkAborted();
    return [name, digestFile(join(folder, name))];
  });
  return sha256Hex(JSON.stringify(digests));
}
