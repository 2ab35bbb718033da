// Free rows of a model as a run takes them, kept from one run to the next: finding them is most of what `whorl doctor` does.

import type { OnEvent } from '../base/events.ts';
import type { ModelFolder } from '../models/model.ts';
import { loadReference } from '../text/reference.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type FreeRows, freeRows } from './free-rows.ts';
import { SetUpCache, smallFiles } from './set-up-cache.ts';

export interface KeptFreeRowsOptions {
  /** Text that the caller adds to the reference set. */
  readonly ordinary?: readonly string[];
  readonly cacheDir?: string | undefined;
  readonly onEvent: OnEvent;
}

export async function keptFreeRows(
  { folder }: Pick<ModelFolder, 'folder'>,
  tokenizer: Tokenizer,
  { ordinary = [], cacheDir, onEvent }: KeptFreeRowsOptions,
): Promise<FreeRows> {
  const { rows: texts, digest } = loadReference();
  const { extra } = await new SetUpCache(cacheDir, onEvent).of(
    'free-rows',
    [smallFiles(folder), digest, ordinary],
    async () => ({ arrays: {}, extra: await freeRows(tokenizer, texts, ordinary) }),
  );
  return extra as FreeRows;
}
