// A data set of the hub as a source of rows: which of its files, in which order, each fetched when its turn comes.

import { readFileSync } from 'node:fs';
import { WhorlError } from '../../base/error.ts';
import type { RowFile, RowSource } from '../rows/row-source.ts';
import { dataFilesOf, matching, namesOf, type Wanted } from './data-files.ts';
import { type HubId, hubName } from './hub-id.ts';
import { HubRepository, type RepositoryOptions } from './repository.ts';

const README = 'README.md';
const MAX_README = 4 << 20; // the longest of the hub's has about 1 MB

/**
 * Rows of `org/name[@revision][:what]`, where `what` is a file or a pattern of files in the repository, a split, a
 * config, or `config:split`. Throws what the hub gives rise to, and `missing-file` or `unsupported` for what is not there.
 */
export async function openHubRows(id: HubId, options: RepositoryOptions = {}): Promise<RowSource> {
  const repository = await HubRepository.open(
    { type: id.type, repo: id.repo, revision: id.revision },
    options,
  );
  try {
    const files = await filesOf(repository, id.file);
    return {
      name: hubName(id),
      isRemote: true,
      files: files.map(
        (path): RowFile => ({ name: `${id.repo}/${path}`, open: () => repository.fetch(path) }),
      ),
      close: () => repository.close(),
    };
  } catch (cause) {
    await repository.close();
    throw cause;
  }
}

async function filesOf(repository: HubRepository, what: string | undefined): Promise<readonly string[]> {
  const names = [...repository.listing.files.keys()];
  const set = hubName(repository.id);
  if (what !== undefined && /[/*?[.]/.test(what)) {
    const files = matching(what, names);
    if (files.length > 0) return files;
    throw new WhorlError(
      'missing-file',
      `${set} has no file ${JSON.stringify(what)}`,
      'check what stands after the :',
    );
  }
  const readme = await readmeOf(repository);
  return dataFilesOf(
    names,
    readme,
    wanted(what, () => namesOf(names, readme, set)),
    set,
  );
}

/** A word alone is a config where there is one of that name, else a split. */
function wanted(what: string | undefined, configs: () => ReadonlySet<string>): Wanted {
  if (what === undefined) return {};
  const colon = what.indexOf(':');
  if (colon >= 0) return { config: what.slice(0, colon), split: what.slice(colon + 1) };
  return configs().has(what) ? { config: what } : { split: what };
}

async function readmeOf(repository: HubRepository): Promise<string> {
  const size = repository.listing.files.get(README)?.size ?? Number.POSITIVE_INFINITY;
  return size > MAX_README ? '' : readFileSync(await repository.fetch(README), 'utf8');
}
