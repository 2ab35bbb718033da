// SHA-256 as this code writes it everywhere: lower-case hex.

import { createHash } from 'node:crypto';

/** Of the parts one after the other; a text's UTF-8 bytes. */
export function sha256Hex(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
