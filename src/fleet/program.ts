// How a process of this program is started: as the bundle, or as its sources by way of tsx.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../base/package-root.ts';

/** A command and its first arguments; those of `whorl` follow. */
export function ownProgram(): readonly string[] {
  if (!import.meta.url.endsWith('.ts')) return [process.execPath, join(packageRoot(), 'dist', 'cli.js')];
  const tsx = createRequire(import.meta.url).resolve('tsx/esm');
  return [
    process.execPath,
    '--import',
    pathToFileURL(tsx).href,
    join(packageRoot(), 'src', 'cli', 'main.ts'),
  ];
}
