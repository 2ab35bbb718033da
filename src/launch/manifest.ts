// The digest of every file of a job: what was changed is named before anything is computed with it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';

export const MANIFEST = 'manifest.json';

interface Manifest {
  readonly files: Readonly<Record<string, string>>;
}

/** JSON; its sha256 is the job's id. */
export const manifestOf = (files: ReadonlyMap<string, string | Uint8Array>): string => {
  const digests = [...files].map(([name, data]) => [name, sha256Hex(data)]);
  const manifest = { format: 'whorl-job-manifest', version: 1, files: Object.fromEntries(digests) as object };
  return `${JSON.stringify(manifest, null, 1)}\n`;
};

/** @throws WhorlError `changed` naming the file that is not what was written, `mismatch` for another job's folder */
export function checkManifest(folder: string, id: string): void {
  const again = 'put back what was written, or remove the folder: the same command then writes the job anew';
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) throw new WhorlError('changed', `${path} is gone`, again);
  const text = readFileSync(path, 'utf8');
  if (sha256Hex(text) !== id)
    throw new WhorlError(
      'mismatch',
      `${folder} holds another job than this run's, or its ${MANIFEST} was changed`,
      again,
    );
  const { files } = JSON.parse(text) as Manifest; // by its digest these are our own words
  for (const [name, digest] of Object.entries(files)) {
    const file = join(folder, name);
    if (!existsSync(file)) throw new WhorlError('changed', `${file} is gone`, again);
    if (digestFile(file) !== digest) throw new WhorlError('changed', `${file} was changed`, again);
  }
}
