// Where this package lies, from its sources (tests) as from the bundle (dist/cli.js): assets are found from there.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WhorlError } from './error.ts';

let found: string | undefined;

/** The folder whose package.json is named whorl, above this file. Errors: missing-file. */
export function packageRoot(): string {
  if (found !== undefined) return found;
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (packageName(folder) === 'whorl') return (found = folder);
    const above = dirname(folder);
    if (above === folder)
      throw new WhorlError(
        'missing-file',
        `no package.json named whorl above ${import.meta.url}`,
        'install the package again',
      );
    folder = above;
  }
}

function packageName(folder: string): unknown {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name;
  } catch {
    return undefined; // no package.json here, or not ours to judge
  }
}
