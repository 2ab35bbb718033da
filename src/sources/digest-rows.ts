// What a source of rows amounts to: a digest of its bytes, so that another file of the same name is seen as another one.

import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkAborted } from '../base/abort.ts';
import { digestFile } from './checkpoints/digest.ts';

/** SHA-256, hex, of a file, or of all files of a folder with their names; null for what is not here (a data set of the hub). */
export function digestRows(source: string): string | null {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  return stats.isDirectory() ? digestFolder(source) : digestFile(source);
}

/** SHA-256, hex, of all files at any depth, links followed, with their names in the folder: however it is written, the same. */
export function digestFolder(folder: string): string {
  const hash = createHash('sha256');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile())
    .sort();
  for (const name of names) {
    checkAborted();
    hash.update(`${JSON.stringify([`/${name}`, digestFile(join(folder, name))])}\n`);
  }
  return hash.digest('hex');
}
