// `whorl import --dry-run`: what would be imported, read as the import reads it, and nothing written.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Abortable, abortable } from '../../base/abort.ts';
import { type DryRun, planOf } from '../../base/dry-run.ts';
import type { OnEvent } from '../../base/events.ts';
import { planOutput } from '../../runs/import-output.ts';
import { type HubId, hubName } from '../../sources/hub/hub-id.ts';
import { planAdapter } from './adapter.ts';
import { planHub } from './hub.ts';

/**
 * @param source an output folder, `instruction_emb.pt`, or a data set of the hub, of which the listing alone is fetched
 * @throws WhorlError what the import throws before it writes
 */
export const planImport = (
  source: string | HubId,
  out: string,
  options: Abortable & { readonly onEvent?: OnEvent } = {},
): Promise<DryRun> =>
  abortable(options, async (within) => {
    if (typeof source !== 'string') {
      const names = await planHub(source, within);
      return planOf('import', {
        writes: names.map((name) => ({ path: join(out, name), what: 'from the hub' })),
        notes: [`of ${hubName(source)} only the listing was fetched: its files are read when they are here`],
      });
    }
    if (!statSync(source).isDirectory()) {
      const { vocabulary, width, words } = planAdapter(source, out);
      return planOf('import', {
        writes: ['adapter.safetensors', 'adapter.json'].map((name) => ({
          path: join(out, name),
          what: `of ${vocabulary} rows of ${width}`,
        })),
        notes: [words],
      });
    }
    const runs = planOutput(source, out);
    return planOf('import', {
      writes: runs.flatMap(({ run, files }) => [
        ...files.map(({ name, rows }) => ({ path: join(run, name), what: `${rows} rows` })),
        { path: join(run, 'run.json'), what: 'where they come from' },
      ]),
      notes: runs.flatMap(({ skipped }) =>
        skipped.map((name) => `${name} is no answer file: it would not be copied`),
      ),
    });
  });
