// What a source of rows amounts to: a digest of its bytes, so that another file of the same name is seen as another one.

import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { digestFile } from './checkpoints/digest.ts';

/** SHA-256, hex, of a file, or of all files of a folder with their names; null for what is not here (a data set of the hub). */
export function digestRows(source: string): string | null {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  if (!stats.isDirectory()) return digestFile(source);
  const names = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(source.length))
    .sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${JSON.stringify([name, digestFile(join(source, name))])}\n`);
  return hash.digest('hex');
}
