// "A source of rows" as a user names it: a file or folder, or a data set of the hub. A path that exists goes first.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import { DATASET, parseHubId } from './hub/hub-id.ts';
import type { HubSettings } from './hub/settings.ts';
import type { RowSource } from './rows/row-source.ts';
import { webAddress } from './web-address.ts';

export interface OpenRowsOptions {
  readonly onEvent?: OnEvent;
  /** Of the hub; by default the environment's. */
  readonly settings?: HubSettings;
}

/** Throws `missing-file` for what is neither, and what the hub gives rise to. */
export async function openRows(name: string, options: OpenRowsOptions = {}): Promise<RowSource> {
  if (isThere(name)) return localRows(name);
  const address = webAddress(name);
  if (address) throw address;
  const id = parseHubId(name, DATASET);
  if (id === undefined)
    throw new WhorlError(
      'missing-file',
      `${name} does not exist`,
      'give a file or a folder of rows, or a data set of the hub: org/name[@revision][:split]',
    );
  const { openHubRows } = await import('./hub/data-set.ts'); // the client is loaded by those who need it
  return openHubRows(id, options);
}

/** A file, or a folder that `datasets` saved: one file to whoever shuffles, as it is there. */
const localRows = (path: string): RowSource => ({
  name: path,
  isRemote: false,
  files: [{ name: path, open: () => Promise.resolve(path) }],
  close: () => Promise.resolve(),
});
