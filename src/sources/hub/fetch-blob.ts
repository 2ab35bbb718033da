// One file of the hub into the cache: taken up where it was cut, hashed while it comes, compared with what the listing
// declared before and after, and given its name only when every byte is right.

import { createHash, type Hash } from 'node:crypto';
import { statfsSync, statSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { dirname } from 'node:path';
import { makeFolder, type PartialFile } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { drop } from '../../base/http.ts';
import { connectionError } from './failures.ts';
import { type Answer, type HubHttp, Transient } from './http.ts';
import type { RemoteFile } from './listing.ts';
import { claimPartial, otherWriter, sweepPartials } from './partial.ts';
import type { HubSettings } from './settings.ts';

export interface BlobJob {
  readonly http: HubHttp;
  readonly settings: HubSettings;
  /** Address of the file at its commit. */
  readonly url: URL;
  readonly commit: string;
  readonly file: RemoteFile;
  /** Where it goes. */
  readonly blob: string;
  /** Repository and file, for messages. */
  readonly what: string;
  /** Called with the bytes that are there of this file, again and again. */
  readonly onBytes: (there: number) => void;
  readonly onWait: (pid: number) => void;
}

const POLL_MS = 200;
const running = new Map<string, Promise<void>>();

/** Returns when the blob is there, whole. Two calls in one process share one download; other processes are waited for. */
export function fetchBlob(job: BlobJob): Promise<void> {
  const known = running.get(job.blob);
  if (known) return known;
  const work = fetchAlone(job).finally(() => running.delete(job.blob));
  running.set(job.blob, work);
  return work;
}

async function fetchAlone(job: BlobJob): Promise<void> {
  const { blob, settings, file } = job;
  if (await waited(job)) return;
  let partial = claimPartial(blob);
  // Two that began together see each other here: the one with the higher name gives way.
  if (otherWriter(blob) !== undefined && partial.size === 0) {
    partial.discard();
    if (await waited(job)) return;
    partial = claimPartial(blob);
  }
  try {
    needRoom(dirname(blob), file.size - partial.size, job.what);
    const resumed = partial.size > 0;
    if (!(await filled(job, partial))) {
      // What another run left may be what is wrong: once more from the first byte.
      if (!resumed) throw wrongHash(job);
      partial.clear();
      if (!(await filled(job, partial))) throw wrongHash(job);
    }
    partial.commit(blob);
    sweepPartials(blob);
  } catch (cause) {
    // Right as far as it goes, unless what came was refused for itself: the next try goes on from there.
    if (partial.size === 0 || (cause instanceof WhorlError && cause.code === 'bad-file')) partial.discard();
    else partial.close();
    if (cause instanceof WhorlError && cause.code === 'no-space') throw noRoom(job.what, file.size, cause);
    throw cause;
  }

  /** While another process fetches the same bytes: is the blob there now? */
  async function waited({ onWait }: BlobJob): Promise<boolean> {
    for (let told: number | undefined; !isThere(blob, file); ) {
      const pid = otherWriter(blob);
      if (pid === undefined) return false;
      if (pid !== told) onWait((told = pid));
      await settings.sleep(POLL_MS);
    }
    return true;
  }
}

export const isThere = (blob: string, { size }: RemoteFile): boolean =>
  statSync(blob, { throwIfNoEntry: false })?.size === size;

/** Fetches what is missing. @returns whether the whole has the hash that the listing declares */
async function filled(job: BlobJob, partial: PartialFile): Promise<boolean> {
  const { file, http, onBytes } = job;
  if (partial.size > file.size) partial.clear();
  let hash = startHash(file);
  for (const chunk of partial.chunks()) hash.update(chunk);
  onBytes(partial.size);
  let before = partial.size;
  await http.persist(
    async () => {
      before = partial.size;
      if (partial.size === file.size) return;
      const answer = await http.get(job.url, job.what, range(partial.size));
      if (!continues(job, answer, partial.size)) {
        partial.clear();
        hash = startHash(file);
      }
      await take(job, answer, partial, hash);
    },
    () => partial.size > before,
  );
  return hash.digest('hex') === file.hash;
}

const range = (from: number): Record<string, string> => (from > 0 ? { range: `bytes=${from}-` } : {});

/**
 * Compares what the answer declares with the listing, before a byte of it is written. @returns whether it goes on at
 * byte `from`; false when the server sends the whole again.
 */
function continues(job: BlobJob, { status, headers, own, body }: Answer, from: number): boolean {
  const { file } = job;
  const refuse = (how: string): WhorlError => {
    drop(body);
    return new WhorlError(
      'bad-file',
      `${job.what}: ${how}`,
      'nothing of it was kept; try again, or check HF_ENDPOINT',
    );
  };
  const commit = own['x-repo-commit'];
  if (commit !== undefined && commit !== job.commit)
    throw refuse(`comes from commit ${String(commit).slice(0, 40)}, not ${job.commit}`);
  const tag = etag(own);
  if (tag !== undefined && tag !== file.hash)
    throw refuse(`the hub gives two hashes for it, ${file.hash} and ${tag.slice(0, 64)}`);
  const linked = whole(own['x-linked-size']);
  if (linked !== undefined && linked !== file.size)
    throw refuse(`the hub gives two sizes for it, ${file.size} and ${linked} bytes`);
  const length = whole(headers['content-length']);
  const start = status === 206 ? rangeStart(headers, file.size) : 0;
  if (start === undefined || (start !== from && start !== 0))
    throw refuse(`the answer is not the part that was asked for`);
  if (length !== undefined && length !== file.size - start)
    throw refuse(`${length} bytes come where ${file.size - start} are declared`);
  return start === from;
}

/** The ETag of a file in git is its blob's sha1, of a large one its sha256. Anything else says nothing about content. */
function etag(own: IncomingHttpHeaders): string | undefined {
  const text = String(own['x-linked-etag'] ?? own.etag ?? '')
    .replace(/^W\//, '')
    .replace(/^"|"$/g, '');
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? text : undefined;
}

const whole = (value: unknown): number | undefined =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;

function rangeStart(headers: IncomingHttpHeaders, size: number): number | undefined {
  const [, start, end, total] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(String(headers['content-range'])) ?? [];
  if (start === undefined || Number(end) !== size - 1 || (total !== '*' && Number(total) !== size))
    return undefined;
  return Number(start);
}

async function take(job: BlobJob, { body }: Answer, partial: PartialFile, hash: Hash): Promise<void> {
  const { file, what, onBytes } = job;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (partial.size + chunk.length > file.size)
        throw new WhorlError(
          'bad-file',
          `${what}: more than the ${file.size} bytes declared come`,
          'nothing of it was kept; try again later',
        );
      partial.append(chunk);
      hash.update(chunk);
      onBytes(partial.size);
    }
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    throw new Transient(connectionError(what, job.url.host, cause, job.settings));
  }
  if (partial.size < file.size)
    throw new Transient(
      new WhorlError(
        'unreachable',
        `${what} is cut after ${partial.size} of ${file.size} bytes`,
        'the same command goes on from there',
      ),
    );
}

/** git hashes a header before the content. */
function startHash({ algorithm, size }: RemoteFile): Hash {
  return algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

const wrongHash = ({ what, file }: BlobJob): WhorlError =>
  new WhorlError(
    'bad-file',
    `${what}: what comes does not have the ${file.algorithm} that the hub declares`,
    'nothing of it was kept; try again, and do not use this source if it stays so',
  );

/** Throws `no-space` unless `bytes` more fit into the folder's disk. */
export function needRoom(folder: string, bytes: number, what: string): void {
  makeFolder(folder);
  const { bavail, bsize } = statfsSync(folder);
  if (bytes > bavail * bsize) throw noRoom(what, bytes);
}

const noRoom = (what: string, bytes: number, cause?: unknown): WhorlError =>
  new WhorlError(
    'no-space',
    `${what}: ${bytes} bytes do not fit into the cache's disk`,
    'make room, or name another with HF_HUB_CACHE',
    { cause },
  );
