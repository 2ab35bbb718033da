// Whoever works in a folder says so in a file there, so that no task is run twice at a time. A process that is gone leaves a file that
// the next one takes over.

import { readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { createFile, takeFile } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { isAlive } from '../base/processes.ts';
import { isNotThere } from '../base/system-errors.ts';

interface Holder {
  readonly host: string;
  readonly pid: number;
}

/** Of another machine nobody here can tell whether it goes on: a scheduler that starts one at a time knows. */
export type Elsewhere = 'refuse' | 'take-over';

/**
 * @returns what gives it back
 * @throws WhorlError `not-writable` where another process that goes on holds it
 */
export function takeLock(path: string, elsewhere: Elsewhere): () => void {
  const mine = JSON.stringify({ host: hostname(), pid: process.pid } satisfies Holder);
  while (!createFile(path, mine)) {
    const held = textOf(path);
    if (held === undefined) continue; // given back in between
    const holder = jsonOrNothing(held) as Partial<Holder> | null | undefined;
    if (goesOn(holder, elsewhere))
      throw new WhorlError(
        'not-writable',
        `${path}: process ${holder?.pid} of ${holder?.host} works here`,
        'wait for it; if it is gone, remove that file',
      );
    const gone = `${path}.gone-${process.pid}`;
    if (takeFile(path, gone)) rmSync(gone, { force: true });
  }
  return () => {
    if (textOf(path) === mine) rmSync(path, { force: true });
  };
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (isNotThere(cause)) return undefined;
    throw cause;
  }
}

function goesOn(holder: Partial<Holder> | null | undefined, elsewhere: Elsewhere): boolean {
  if (typeof holder?.pid !== 'number' || typeof holder.host !== 'string') return false;
  if (holder.host !== hostname()) return elsewhere === 'refuse';
  return isAlive(holder.pid);
}
