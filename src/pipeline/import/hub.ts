// Import of the paper's output folders from a data set of the hub: answer files and adapters are fetched, nothing else,
// and then imported as local ones are.

import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { abortable } from '../../base/abort.ts';
import { copyFileAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { type ImportedRun, type ImportOptions, importOutput } from '../../runs/import-output.ts';
import { type HubId, hubName } from '../../sources/hub/hub-id.ts';
import { HubRepository, type RepositoryOptions } from '../../sources/hub/repository.ts';
import { type ImportedAdapter, importAdapter } from './adapter.ts';

const OUTPUT = /(?:^|\/)(output_[^/]+_(?:adapter|sft_chat)\/.+)$/;
const ADAPTER = /\/instruction_emb\.pt$/;

export interface HubImport {
  readonly runs: readonly ImportedRun[];
  /** Each in the folder `adapter` of its run. */
  readonly adapters: readonly ImportedAdapter[];
}

/** Throws what the hub gives rise to, and what the imports of local files throw. */
export function importFromHub(
  id: HubId,
  out: string,
  options: RepositoryOptions & ImportOptions = {},
): Promise<HubImport> {
  return abortable(options, (within) => fetched(id, out, within));
}

/** What would be written, below `out`. Only the listing of the repository is fetched. */
export const planHub = (id: HubId, options: RepositoryOptions & ImportOptions = {}): Promise<string[]> =>
  abortable(options, async (within) => {
    const repository = await HubRepository.open(id, within);
    try {
      return namesIn(repository, id)
        .filter((name) => name.endsWith('.jsonl') || ADAPTER.test(name))
        .map((name) => (ADAPTER.test(name) ? join(dirname(inside(name)!), 'adapter') : inside(name)!));
    } finally {
      await repository.close();
    }
  });

const inside = (path: string): string | undefined => OUTPUT.exec(path)?.[1];

/** Files of the paper's output folders. @throws WhorlError `missing-file` where none holds answers */
function namesIn({ listing }: HubRepository, id: HubId): string[] {
  const names = [...listing.files.keys()].filter((path) => inside(path) !== undefined);
  if (names.some((path) => path.endsWith('.jsonl'))) return names;
  throw new WhorlError(
    'missing-file',
    `${hubName(id)} holds no output_{template}_{adapter|sft_chat} folder with .jsonl files`,
    'check the name',
  );
}

async function fetched(id: HubId, out: string, options: RepositoryOptions): Promise<HubImport> {
  const repository = await HubRepository.open(id, options);
  const staging = join(tmpdir(), `whorl-import-${randomUUID()}`);
  try {
    const { commit } = repository.listing;
    const names = namesIn(repository, id);
    const answers = names.filter((path) => path.endsWith('.jsonl'));
    // Links of the cache are no regular files to whoever reads a stranger's folder: copies are.
    for (const path of answers) copyFileAtomic(await repository.fetch(path), join(staging, inside(path)!));
    const origin = `${id.repo}@${commit}`;
    const runs = await importOutput(staging, out, { origin });
    const adapters: ImportedAdapter[] = [];
    for (const path of names.filter((name) => ADAPTER.test(name))) {
      const run = join(out, dirname(inside(path)!));
      if (runs.some((one) => one.run === run))
        adapters.push(await importAdapter(await repository.fetch(path), join(run, 'adapter')));
    }
    return { runs, adapters };
  } finally {
    await repository.close();
    rmSync(staging, { recursive: true, force: true });
  }
}
