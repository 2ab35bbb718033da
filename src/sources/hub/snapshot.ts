// A commit of a repository, of which files are fetched into the cache as they are wanted. The revision's name moves to
// the commit last: whoever opens it meanwhile, or after a kill, finds the old snapshot or the new one, whole.

import { WhorlError } from '../../base/error.ts';
import { type OnEvent, silent } from '../../base/events.ts';
import { RepoCache } from './cache.ts';
import { fetchBlob, isThere, needRoom } from './fetch-blob.ts';
import { HubHttp } from './http.ts';
import { type HubId, hubName, isCommit } from './hub-id.ts';
import { askCommit, askFiles, type RemoteFile } from './listing.ts';
import type { HubSettings } from './settings.ts';

const MAX_WANTED = 20_000;

/** What of a repository is wanted. */
export interface Selection {
  /** Fetches files of the snapshot in the order that makes the last one the sign that all are there. */
  readonly fetch: (snapshot: Snapshot) => Promise<void>;
  /** What is missing in a snapshot that lies in the cache, in words; undefined when it is whole. */
  readonly missing: (cached: Cached) => string | undefined;
}

/** A snapshot as it lies in the cache. */
export interface Cached {
  readonly folder: string;
  has(path: string): boolean;
  /** Every file of the commit, where it is known. */
  readonly listing: readonly string[] | undefined;
}

export interface Fetched {
  /** snapshots/<commit> in the cache. */
  readonly folder: string;
  readonly commit: string;
}

/** Brings the selection into the cache, or finds it there. Throws what the hub and the disk give rise to. */
export async function fetchSnapshot(
  id: HubId,
  selection: Selection,
  settings: HubSettings,
  onEvent: OnEvent = silent,
): Promise<Fetched> {
  const cache = new RepoCache(settings.cache, id);
  if (settings.offline) return fromCache(cache, selection, offline(id));
  if (isCommit(id.revision) && missingIn(cache, id.revision, selection) === undefined)
    return { folder: cache.snapshot(id.revision), commit: id.revision };
  const http = new HubHttp(settings);
  try {
    const asked = await askSnapshot(id, { cache, http, settings, onEvent }).catch((cause: unknown) => {
      if (!(cause instanceof WhorlError && cause.code === 'unreachable')) throw cause;
      const known = fromCache(cache, selection, cause);
      onEvent({ kind: 'note', text: `${cause.what}; using commit ${known.commit} of the cache` });
      return known;
    });
    if (!(asked instanceof Snapshot)) return asked;
    await selection.fetch(asked);
    cache.setCommit(id.revision, asked.commit);
    return { folder: asked.folder, commit: asked.commit };
  } finally {
    await http.close();
  }
}

async function askSnapshot(id: HubId, means: Means): Promise<Snapshot> {
  const commit = await askCommit(means.http, id);
  return new Snapshot(id, commit, await askFiles(means.http, id, commit), means);
}

const offline = (id: HubId): WhorlError =>
  new WhorlError(
    'missing-file',
    `${hubName(id)} is not in the hub cache, whole`,
    'unset HF_HUB_OFFLINE to fetch it',
  );

/** Throws `otherwise` where the cache has no whole snapshot of the revision. */
function fromCache(cache: RepoCache, selection: Selection, otherwise: WhorlError): Fetched {
  const commit = cache.commitOf(cache.id.revision);
  if (commit === undefined || missingIn(cache, commit, selection) !== undefined) throw otherwise;
  return { folder: cache.snapshot(commit), commit };
}

function missingIn(cache: RepoCache, commit: string, selection: Selection): string | undefined {
  return selection.missing({
    folder: cache.snapshot(commit),
    has: (path) => cache.sizeOf(commit, path) !== undefined,
    listing: cache.listing(commit),
  });
}

interface Means {
  readonly cache: RepoCache;
  readonly http: HubHttp;
  readonly settings: HubSettings;
  readonly onEvent: OnEvent;
}

export class Snapshot {
  readonly #means: Means;
  constructor(
    readonly id: HubId,
    readonly commit: string,
    readonly files: ReadonlyMap<string, RemoteFile>,
    means: Means,
  ) {
    this.#means = means;
  }

  get folder(): string {
    return this.#means.cache.snapshot(this.commit);
  }

  /** Path on this machine of a file that was fetched. */
  pathOf(path: string): string {
    return this.#means.cache.pointer(this.commit, path);
  }

  /** Fetches the files in this order, one after the other; those that are there already cost nothing. */
  async fetch(paths: readonly string[]): Promise<void> {
    const { cache, settings, onEvent } = this.#means;
    if (paths.length > MAX_WANTED)
      throw new WhorlError('hub', `${this.id.repo}: ${paths.length} files are too many`);
    const missing = paths
      .map((path) => this.#file(path))
      .filter((file) => cache.sizeOf(this.commit, file.path) !== file.size);
    const total = missing.reduce((sum, { size }) => sum + size, 0);
    if (missing.length === 0) return;
    needRoom(settings.cache, total, hubName(this.id));
    cache.tag();
    let before = 0;
    onEvent({ kind: 'phase', name: 'downloading', detail: hubName(this.id) });
    for (const file of missing) {
      await this.#fetchOne(file, (there) =>
        onEvent({ kind: 'progress', name: 'downloading', done: before + there, total, note: file.path }),
      );
      before += file.size;
    }
  }

  async #fetchOne(file: RemoteFile, onBytes: (there: number) => void): Promise<void> {
    const { cache, http, settings, onEvent } = this.#means;
    const blob = cache.blob(file.hash);
    if (!isThere(blob, file))
      await fetchBlob({
        http,
        settings,
        url: http.url(
          `/${this.id.type.prefix}${this.id.repo}/resolve/${this.commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`,
        ),
        commit: this.commit,
        file,
        blob,
        what: `${this.id.repo}/${file.path}`,
        onBytes,
        onWait: (pid) =>
          onEvent({ kind: 'note', text: `${file.path} is being fetched by process ${pid}; waiting` }),
      });
    cache.point(this.commit, file.path, file.hash);
  }

  #file(path: string): RemoteFile {
    this.#means.cache.pointer(this.commit, path); // refuses a name that leads out
    const file = this.files.get(path);
    if (file === undefined)
      throw new WhorlError(
        'missing-file',
        `${hubName({ ...this.id, file: path })} is not in the repository`,
        'check the name',
      );
    return file;
  }
}
