// What a suspect, or another model of a task, is by its bytes.

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
        readdirSync(path)
          .filter((name) => counts(name) && statSync(join(path, name)).isFile())
          .sort()
          .map((name) => join(path, name)),
      )
    : digestOf(ggufParts(path));

/** Of a model that may lie elsewhere: then its name is all that is known. */
export const digestOrName = (model: string): string =>
  isThere(model) ? digestModel(model) : `name:${model}`;

function digestOf(files: readonly string[]): string {
  const digests = files.map((file) => {
    checkAborted();
    return [basename(file), digestFile(file)];
  });
  return sha256Hex(JSON.stringify(digests));
}
