// A `python` for jobs where there is no torch: torch-child.ts or ask-child.ts under node.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @returns its path, in a folder of the test's */
export function standIn(folder: string, does: 'torch-child.ts' | 'ask-child.ts' = 'torch-child.ts'): string {
  const path = join(folder, 'python');
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const child = fileURLToPath(new URL(`./${does}`, import.meta.url));
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' --import '${tsx}' '${child}' "$@"\n`);
  chmodSync(path, 0o700);
  return path;
}
