// Whether a process of this machine goes on: what a file that a process left says of it holds only as long.

import { readFileSync } from 'node:fs';

export function isAlive(pid: number): boolean {
  if (isZombie(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's
  }
}

/** Ended, and its parent has not asked how: in a container without an init nobody ever does. Linux alone tells. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false; // gone in between, or not Linux: the signal tells
  }
}
