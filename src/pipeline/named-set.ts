// Saved data sets as the paper's pipeline names them: `data_name` is dataset/llama_fingerprint_NAME, and never leaves that
// folder.

import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WhorlError } from '../base/error.ts';

/** The name of a set's folder in the paper's spelling. */
const PREFIX = 'llama_fingerprint_';
const DATASETS = 'dataset';

/** The {data} of a run that trains the set at `path`. */
export const nameOfSet = (path: string): string => basename(path).replace(PREFIX, '');

/** Where the set called `name` lies: undefined where none is there. @throws WhorlError `bad-path` for a link, which leads elsewhere */
export function setNamed(name: string): string | undefined {
  const path = join(DATASETS, `${PREFIX}${name}`);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isSymbolicLink())
    throw new WhorlError(
      'bad-path',
      `data_name=${name}: ${path} is a link`,
      'name the folder itself with --data',
    );
  return path;
}
