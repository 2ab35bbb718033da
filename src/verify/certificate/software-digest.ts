// Which program a certificate was issued by: one digest over the code that runs.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { packageRoot } from '../../base/package-root.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { canonicalJson } from '../../claim/canonical.ts';

/** SHA-256, hex, over one line `["path","sha256"]\n` a file of code, sorted; of `dist`, or of `src` in a clone that is not built. */
export function softwareDigest(): string {
  const root = join(packageRoot(), import.meta.url.includes('/dist/') ? 'dist' : 'src');
  const files = readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(?:js|ts)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  const lines = files.map((file) => {
    const path = relative(root, file).split(sep).join('/');
    return `${canonicalJson([path, sha256Hex(readFileSync(file))])}\n`;
  });
  return sha256Hex(...lines.sort());
}
