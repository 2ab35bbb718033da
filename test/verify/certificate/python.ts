// examples/check.py over many certificates in one process; without Python those tests are skipped, and say so.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../../src/base/package-root.ts';

export const hasPython =
  spawnSync('python3', ['-c', 'import sys; assert sys.version_info >= (3, 9)']).status === 0;
if (!hasPython) process.stderr.write('no python3: examples/check.py is not tested here\n');

const LOOP =
  'import sys,json;sys.path.insert(0,sys.argv[1]);from check import verdict_of;' +
  'import rfc3161;roots=[one for pem in sys.argv[2:] for one in rfc3161.certificates(open(pem,"rb").read())];' +
  'print(json.dumps([verdict_of(t.encode("latin1"),roots)[0] for t in json.load(sys.stdin)]))';

/** Exit codes that check.py would end with. @param roots files of authorities that are trusted */
export function pythonCodes(texts: readonly string[], roots: readonly string[] = []): number[] {
  const input = JSON.stringify(
    texts.map((text) => Buffer.from(text, isLatin(text) ? 'latin1' : 'utf8').toString('latin1')),
  );
  const options = {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  } as const;
  return JSON.parse(
    execFileSync('python3', ['-c', LOOP, join(packageRoot(), 'examples'), ...roots], options),
  ) as number[];
}

const isLatin = (text: string): boolean => !/[^\0-\xff]/.test(text);
