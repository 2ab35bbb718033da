// A repository whose files are fetched one by one as they are wanted, as a data set's are. What the commit holds is kept
// in a file of our own beside Python's, so that a set opens again without the network as far as it was fetched.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { type OnEvent, silent } from '../../base/events.ts';
import { asObject, parseStrictJson } from '../strict-json.ts';
import { RepoCache } from './cache.ts';
import { HubHttp } from './http.ts';
import { type HubId, hubName, isCommit } from './hub-id.ts';
import { askCommit, askFiles, type RemoteFile, remoteFileOf } from './listing.ts';
import { type HubSettings, hubSettings } from './settings.ts';
import { Snapshot } from './snapshot.ts';

export interface RepositoryOptions {
  readonly settings?: HubSettings;
  readonly onEvent?: OnEvent;
}

/** What a commit holds. */
interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, RemoteFile>;
}

const MAX_LISTING = 64 << 20;

export class HubRepository {
  readonly #cache: RepoCache;
  readonly #http: HubHttp | undefined;
  readonly #snapshot: Snapshot | undefined;
  private constructor(
    readonly id: HubId,
    readonly listing: Listing,
    cache: RepoCache,
    http: HubHttp | undefined,
    { settings, onEvent }: Required<RepositoryOptions>,
  ) {
    this.#cache = cache;
    this.#http = http;
    this.#snapshot =
      http && new Snapshot(id, listing.commit, listing.files, { cache, http, settings, onEvent });
  }

  /** Asks what the revision holds, or finds it in the cache. Throws what the hub gives rise to. */
  static async open(id: HubId, options: RepositoryOptions = {}): Promise<HubRepository> {
    const { settings = hubSettings(), onEvent = silent } = options;
    const cache = new RepoCache(settings.cache, id);
    const known = cachedListing(cache, id.revision);
    const at = (listing: Listing, http?: HubHttp) =>
      new HubRepository(id, listing, cache, http, { settings, onEvent });
    if (settings.offline) {
      if (known === undefined) throw notCached(hubName(id));
      return at(known);
    }
    const http = new HubHttp(settings);
    if (known !== undefined && isCommit(id.revision)) return at(known, http);
    try {
      return at(await ask(http, cache, id), http);
    } catch (cause) {
      if (known !== undefined && cause instanceof WhorlError && cause.code === 'unreachable') {
        onEvent({ kind: 'note', text: `${cause.what}; using commit ${known.commit} of the cache` });
        return at(known, http);
      }
      await http.close();
      throw cause;
    }
  }

  /** Where the file lies on this machine, fetched if it is not there. The revision then means this commit. */
  async fetch(path: string): Promise<string> {
    const { commit, files } = this.listing;
    const pointer = this.#cache.pointer(commit, path);
    if (this.#snapshot === undefined) {
      if (this.#cache.sizeOf(commit, path) === files.get(path)?.size) return pointer;
      throw notCached(hubName({ ...this.id, file: path }));
    }
    await this.#snapshot.fetch([path]);
    this.#cache.setCommit(this.id.revision, commit);
    return pointer;
  }

  async close(): Promise<void> {
    await this.#http?.close();
  }
}

const notCached = (what: string): WhorlError =>
  new WhorlError('missing-file', `${what} is not in the hub cache`, 'unset HF_HUB_OFFLINE to fetch it');

const listingFile = (cache: RepoCache, commit: string): string =>
  join(cache.folder, 'whorl-listings', `${commit}.json`);

async function ask(http: HubHttp, cache: RepoCache, id: HubId): Promise<Listing> {
  const commit = await askCommit(http, id);
  const known = cachedListing(cache, commit);
  if (known !== undefined) return known;
  const files = await askFiles(http, id, commit);
  writeJsonAtomic(listingFile(cache, commit), { files: [...files.values()] });
  return { commit, files };
}

/** Undefined where there is none, or none that can be read: then it is asked for again. */
function cachedListing(cache: RepoCache, revision: string): Listing | undefined {
  const commit = cache.commitOf(revision);
  if (commit === undefined) return undefined;
  const path = listingFile(cache, commit);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > MAX_LISTING) return undefined;
  try {
    const { files } = asObject(parseStrictJson(readFileSync(path), path), path);
    if (!Array.isArray(files)) return undefined;
    const checked = files.map((file: unknown) => remoteFileOf(asObject(file, path), path));
    return { commit, files: new Map(checked.map((file) => [file.path, file])) };
  } catch {
    return undefined;
  }
}
