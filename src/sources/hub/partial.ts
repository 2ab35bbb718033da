// Whose unfinished download is whose. The file itself is the lock: its name says which process writes it, so a killed
// process leaves no lock behind, and what it had fetched is taken over by the next one.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { PartialFile, takeFile } from '../../base/atomic.ts';
import { isAlive } from '../../base/processes.ts';

// Ends like Python's, so that `hf cache` knows it for what it is; Python's own are `<hash>.<8 hex>.incomplete`.
const SUFFIX = '.incomplete';
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const MINE = `${HOST}-${process.pid}-${threadId}`;
const NAME = /^\.([0-9a-f]{8})-(\d+)-\d+\.incomplete$/;
/** A writer writes or gives up within its time limits; one of another machine that has not for this long is gone. */
const GONE_MS = 15 * 60_000;
/** A writer here that has written nothing for this long is not waited for. */
const STUCK_MS = 60_000;

interface Found {
  readonly path: string;
  readonly size: number;
  readonly owner: 'me' | 'alive' | 'stuck' | 'dead';
  readonly pid: number;
  /** Nanoseconds. */
  readonly born: bigint;
}

/** Opens this process's partial file of `blob`, with what a dead process left of it. */
export function claimPartial(blob: string): PartialFile {
  const mine = `${blob}.${MINE}${SUFFIX}`;
  const left = found(blob)
    .filter(({ owner }) => owner === 'dead')
    .sort((a, b) => b.size - a.size);
  if (!statSync(mine, { throwIfNoEntry: false })) left.find(({ path }) => takeFile(path, mine));
  return new PartialFile(mine);
}

/**
 * The process that fetches `blob` just now and should be waited for. Each makes its file first and looks then, so of two
 * that begin together at least one sees the other; the file that was made first goes on.
 */
export function otherWriter(blob: string): number | undefined {
  const all = found(blob);
  const mine = all.find(({ owner }) => owner === 'me');
  const isFirst = ({ born, path }: Found): boolean =>
    mine === undefined || born < mine.born || (born === mine.born && path < mine.path);
  return all.find((other) => other.owner === 'alive' && isFirst(other))?.pid;
}

/** What dead processes left of a blob that is whole now. */
export function sweepPartials(blob: string): void {
  for (const { path, owner } of found(blob)) if (owner === 'dead') rmSync(path, { force: true });
}

function found(blob: string): Found[] {
  const [folder, hash] = [dirname(blob), basename(blob)];
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // no such folder yet
  }
  return names.flatMap((name) => {
    const [, host, pid] = (name.startsWith(hash) && NAME.exec(name.slice(hash.length))) || [];
    const path = join(folder, name);
    const stats = pid === undefined ? undefined : statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return [];
    const owner = ownerOf(name, host!, Number(pid), Number(stats.mtimeMs));
    return [{ path, size: Number(stats.size), pid: Number(pid), born: stats.birthtimeNs, owner }];
  });
}

function ownerOf(name: string, host: string, pid: number, written: number): Found['owner'] {
  if (name.endsWith(`.${MINE}${SUFFIX}`)) return 'me';
  const still = Date.now() - written;
  if (still > GONE_MS) return 'dead';
  if (host !== HOST) return 'stuck'; // another machine's: neither waited for nor touched
  if (!isAlive(pid)) return 'dead';
  return still > STUCK_MS ? 'stuck' : 'alive';
}
