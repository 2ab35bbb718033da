// One repository's folder in the hub cache, laid out as Python's huggingface_hub lays it out:
// refs/<revision> holds a commit, blobs/<hash> the bytes, snapshots/<commit>/<file> links to them.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { copyFileAtomic, hasNoLinks, linkAtomic, writeFileAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { refuseStrangeName } from '../checkpoints/folder.ts';
import type { HubId } from './hub-id.ts';
import { isCommit } from './hub-id.ts';

const MAX_REF = 100; // bytes; a commit has 40
const MAX_TREE = 64 << 20;
/** What backup programs look for (bford.info/cachedir); the first line is the standard's. */
const CACHE_TAG =
  'Signature: 8a477f597d28d172789f06886806bc55\n# A cache of files from the Hugging Face hub, shared by Python and Whorl.\n';

export class RepoCache {
  readonly folder: string;
  constructor(
    readonly root: string,
    readonly id: HubId,
  ) {
    this.folder = join(root, `${id.type.plural}--${id.repo.replace('/', '--')}`);
  }

  /** The commit that `revision` was when it was last fetched whole. */
  commitOf(revision: string): string | undefined {
    if (isCommit(revision)) return revision;
    const text = readSmall(join(this.folder, 'refs', ...revision.split('/')), MAX_REF)?.trim();
    return text !== undefined && isCommit(text) ? text : undefined;
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  blob(hash: string): string {
    return join(this.folder, 'blobs', hash);
  }

  /** Where `path` of the repository stands in the snapshot. Throws `bad-file` for a name that would lead out of it. */
  pointer(commit: string, path: string): string {
    const parts = path.split('/');
    for (const part of parts) refuseStrangeName(part, this.id.repo);
    return join(this.snapshot(commit), ...parts);
  }

  /** Bytes of a file of the snapshot, or undefined where it is not there. */
  sizeOf(commit: string, path: string): number | undefined {
    const stats = statSync(this.pointer(commit, path), { throwIfNoEntry: false });
    return stats?.isFile() ? stats.size : undefined;
  }

  /** All names of the commit, where Python left its listing. */
  listing(commit: string): readonly string[] | undefined {
    const text = readSmall(join(this.folder, 'trees', `${commit}.json`), MAX_TREE);
    if (text === undefined) return undefined;
    try {
      const { files } = JSON.parse(text) as { files?: unknown };
      return typeof files === 'object' && files !== null ? Object.keys(files) : undefined;
    } catch {
      return undefined; // Python takes such a listing for absent too
    }
  }

  /** Lets the snapshot's `path` lead to a blob that is there; a copy where the system has no links. */
  point(commit: string, path: string, hash: string): void {
    const [pointer, blob] = [this.pointer(commit, path), this.blob(hash)];
    try {
      linkAtomic(relative(dirname(pointer), blob), pointer);
    } catch (cause) {
      if (!hasNoLinks(cause)) throw cause;
      copyFileAtomic(blob, pointer);
    }
  }

  /** Last of all: until then `revision` means the snapshot it meant before. */
  setCommit(revision: string, commit: string): void {
    if (isCommit(revision) || this.commitOf(revision) === commit) return;
    writeFileAtomic(join(this.folder, 'refs', ...revision.split('/')), commit);
  }

  tag(): void {
    const path = join(this.root, 'CACHEDIR.TAG');
    if (!existsSync(path)) writeFileAtomic(path, CACHE_TAG);
  }
}

function readSmall(path: string, limit: number): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > limit) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WhorlError('missing-file', `${path} cannot be read`, 'check who may read it', { cause });
  }
}
