// Time stamps that OpenSSL made (goldens/time-stamps).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';

interface Golden {
  readonly root: string;
  /** PEM. */
  readonly certificates: Readonly<Record<'root' | 'other root' | 'short root' | 'tsa', string>>;
  readonly key: string;
  /** `openssl ts -query -no_nonce` for the root, base64. */
  readonly query: string;
  readonly tokens: Readonly<Record<string, { response: string; says: string; openssl: boolean }>>;
}

export const golden = JSON.parse(
  readFileSync(join(packageRoot(), 'goldens/time-stamps/tokens.json'), 'utf8'),
) as Golden;

export const tokenOf = (name: string): Buffer => Buffer.from(golden.tokens[name]!.response, 'base64');
