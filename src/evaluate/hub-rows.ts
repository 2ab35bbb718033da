// Rows from the hub: the files of each split that an evaluation needs, brought here before anything is asked. A data set that
// is a program is taken from the Parquet files that the hub has made of it.

import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { DATASET, type HubId } from '../sources/hub/hub-id.ts';
import type { RepositoryOptions } from '../sources/hub/repository.ts';
import type { HubSettings } from '../sources/hub/settings.ts';
import { splitsOf } from './requests.ts';
import { folderRows, type PlacedFile, type RowPlace } from './rows.ts';
import type { Task } from './task.ts';

export interface HubRowsOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Default: the environment's. */
  readonly settings?: HubSettings;
}

/** Where the hub keeps what it has converted itself. */
const REVISIONS = ['main', 'refs/convert/parquet'] as const;
/** What says that a revision has no rows that can be read, and another one may. */
const NEXT: ReadonlySet<string> = new Set(['unsupported', 'missing-file']);

const keyOf = ({ dataset_path, dataset_name }: Task, split: string): string =>
  JSON.stringify([dataset_path, dataset_name, split]);

/** @throws WhorlError what the hub gives rise to, `missing-file` and `unsupported` naming the data set */
export async function hubRows(
  tasks: readonly Task[],
  shots: readonly number[],
  { onEvent = silent, settings }: HubRowsOptions = {},
): Promise<RowPlace> {
  const found = new Map<string, readonly PlacedFile[]>();
  const options = { onEvent, ...(settings && { settings }) };
  for (const task of tasks)
    for (const split of splitsOf(task, shots)) {
      const key = keyOf(task, split);
      if (found.has(key)) continue;
      onEvent({ kind: 'phase', name: 'fetching rows', detail: `${task.dataset_path}, ${split}` });
      found.set(key, await filesOf(task, split, options));
    }
  return {
    name: 'the hub',
    files: (task, split) => found.get(keyOf(task, split)) ?? notAsked(task, split),
  };
}

function notAsked(task: Task, split: string): never {
  throw new WhorlError(
    'missing-file',
    `${task.name}: the split ${split} was not fetched`,
    'name a folder with --data',
  );
}

async function filesOf(task: Task, split: string, options: RepositoryOptions): Promise<PlacedFile[]> {
  let first: unknown;
  for (const revision of REVISIONS)
    try {
      return await filesAt(task, split, revision, options);
    } catch (cause) {
      first ??= cause;
      if (!(cause instanceof WhorlError) || !NEXT.has(cause.code)) break;
    }
  if (!(first instanceof WhorlError)) throw first;
  throw new WhorlError(
    first.code,
    `${task.name} has no rows: ${first.what}`,
    first.fix === undefined
      ? 'or name a folder of rows with --data'
      : `${first.fix}; or name a folder with --data`,
    { cause: first },
  );
}

async function filesAt(
  { dataset_path: repo, dataset_name: config }: Task,
  split: string,
  revision: string,
  options: RepositoryOptions,
): Promise<PlacedFile[]> {
  const { openHubRows } = await import('../sources/hub/data-set.ts'); // the client is loaded by those who need it
  const file = config === null ? split : `${config}:${split}`;
  const id: HubId = { type: DATASET, repo, revision, file };
  const source = await openHubRows(id, options);
  try {
    const files: PlacedFile[] = [];
    for (const { name, open } of source.files) files.push({ name, path: await open() });
    return files;
  } finally {
    await source.close();
  }
}

/** Rows of a folder, or of the hub where none is named. */
export const rowsAt = async (
  data: string | RowPlace | undefined,
  tasks: readonly Task[],
  shots: readonly number[],
  options: HubRowsOptions = {},
): Promise<RowPlace> =>
  data === undefined ? hubRows(tasks, shots, options) : typeof data === 'string' ? folderRows(data) : data;
