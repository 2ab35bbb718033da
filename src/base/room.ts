// Whether a disk has room, said before the work.

import { statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { WhorlError } from './error.ts';

/** @throws WhorlError `no-space` unless `bytes` more fit into the disk that `path` will lie on */
export function checkRoom(path: string, bytes: number): void {
  let folder = dirname(resolve(path));
  while (statSync(folder, { throwIfNoEntry: false }) === undefined) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  if (bytes > bavail * bsize)
    throw new WhorlError(
      'no-space',
      `${path}: ${bytes} bytes do not fit into the ${bavail * bsize} that its disk has left`,
      'make room or name another place',
    );
}
