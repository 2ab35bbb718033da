// What a repository holds at one commit, as the hub's API lists it. Every name, size and hash is checked before use.

import { WhorlError } from '../../base/error.ts';
import { asObject } from '../strict-json.ts';
import type { HubHttp } from './http.ts';
import { type HubId, hubName, isCommit } from './hub-id.ts';

export interface RemoteFile {
  /** With `/` between folders. */
  readonly path: string;
  readonly size: number;
  /** The file's name among the blobs: its sha256, or for small files in git the sha1 of git's blob. */
  readonly hash: string;
  readonly algorithm: 'sha256' | 'git-sha1';
}

const MAX_FILES = 200_000; // data sets of many shards reach tens of thousands
const MAX_PAGES = 1_000;

/** The commit that the revision is now. */
export async function askCommit(http: HubHttp, id: HubId): Promise<string> {
  const what = hubName(id);
  const url = http.url(`/api/${id.type.plural}/${id.repo}/revision/${encodeURIComponent(id.revision)}`);
  const { sha } = asObject((await http.json(url, what)).value, what);
  if (typeof sha !== 'string' || !isCommit(sha)) throw wrong(what, 'names no commit');
  if (isCommit(id.revision) && sha !== id.revision)
    throw wrong(what, 'names another commit than the one asked for');
  return sha;
}

/** Every file of the commit, by path. */
export async function askFiles(http: HubHttp, id: HubId, commit: string): Promise<Map<string, RemoteFile>> {
  const what = `${hubName(id)}: its list of files`;
  const files = new Map<string, RemoteFile>();
  let url: URL | undefined = http.url(
    `/api/${id.type.plural}/${id.repo}/tree/${commit}?recursive=True&expand=False`,
  );
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES) throw wrong(what, `has more than ${MAX_PAGES} pages`);
    const { value, next } = await http.json(url, what);
    if (!Array.isArray(value)) throw wrong(what, 'is no list');
    for (const entry of value as unknown[]) {
      const file = remoteFile(asObject(entry, what), what);
      if (file === undefined) continue;
      if (files.has(file.path)) throw wrong(what, `names ${JSON.stringify(file.path)} twice`);
      files.set(file.path, file);
      if (files.size > MAX_FILES) throw wrong(what, `has more than ${MAX_FILES} files`);
    }
    url = next;
  }
  return files;
}

function remoteFile(entry: Record<string, unknown>, what: string): RemoteFile | undefined {
  if (entry.type !== 'file') return undefined;
  const { path, oid } = entry;
  if (typeof path !== 'string') throw wrong(what, 'has a file without a name');
  if (entry.lfs === undefined || entry.lfs === null)
    return checked({ path, size: entry.size, hash: oid, algorithm: 'git-sha1' }, what);
  const lfs = asObject(entry.lfs, what);
  return checked({ path, size: lfs.size, hash: lfs.oid, algorithm: 'sha256' }, what);
}

/** An entry that we wrote into the cache ourselves, seen with the same eyes. */
export function remoteFileOf(entry: Record<string, unknown>, what: string): RemoteFile {
  const { path, size, hash, algorithm } = entry;
  if (typeof path !== 'string' || (algorithm !== 'sha256' && algorithm !== 'git-sha1'))
    throw wrong(what, 'has an entry that is no file');
  return checked({ path, size, hash, algorithm }, what);
}

const HASH: Readonly<Record<RemoteFile['algorithm'], RegExp>> = {
  sha256: /^[0-9a-f]{64}$/,
  'git-sha1': /^[0-9a-f]{40}$/,
};

function checked(
  file: Pick<RemoteFile, 'path' | 'algorithm'> & { size: unknown; hash: unknown },
  what: string,
): RemoteFile {
  const { path, algorithm, size, hash } = file;
  const name = JSON.stringify(path.slice(0, 100));
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw wrong(what, `gives ${name} no size`);
  if (typeof hash !== 'string' || !HASH[algorithm].test(hash)) throw wrong(what, `gives ${name} no hash`);
  return { path, algorithm, size: size as number, hash };
}

const wrong = (what: string, how: string): WhorlError =>
  new WhorlError('hub', `${what} ${how}`, 'check HF_ENDPOINT');
