// `whorl import`: what the paper's authors (or users of their code) released, into our own files; nothing of it is run.

import { statSync } from 'node:fs';
import { Command } from 'commander';
import type { DryRun } from '../../base/dry-run.ts';
import { WhorlError } from '../../base/error.ts';
import type { ImportedRun } from '../../runs/import-output.ts';
import type { HubId } from '../../sources/hub/hub-id.ts';
import { DRY_RUN, type Given, given, JSON_LINES, required, text, withOptions } from '../options.ts';
import { countText, paint, print, printJson, shownText, table, tell, wrapped } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = { out: required(text('<folder>', 'folder to write, private')), ...DRY_RUN, ...JSON_LINES };
type ImportFlags = Given<typeof OPTIONS>;

export function importCommand(): Command {
  return withOptions(new Command('import'), OPTIONS)
    .description(
      "The paper's released files: an output folder (output_{template}_{adapter|sft_chat}) to a run folder for `whorl report`, or instruction_emb.pt to safetensors and JSON. Pickled files are read as data; nothing of them is run.",
    )
    .argument(
      '<path>',
      'an output folder with .jsonl files, instruction_emb.pt, or a data set of the hub (org/name)',
    )
    .action((path: string, _, called: Command) => runImport(path, given(called, OPTIONS)));
}

async function runImport(path: string, flags: ImportFlags): Promise<void> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return importHub(path, flags);
  if (flags.dryRun) return showPlan(await plannedImport(path, flags), flags.json);
  if (stats.isDirectory()) {
    const { importOutput } = await import('../../runs/import-output.ts');
    return showRuns(await importOutput(path, flags.out), flags);
  }
  const { importAdapter } = await import('../../pipeline/import/adapter.ts');
  const report = await importAdapter(path, flags.out);
  if (flags.json) return printJson(report);
  const rows = [
    ['table', `${countText(report.vocabulary)} rows of ${countText(report.width)}`],
    [
      'map',
      `rank ${report.dim}, ${report.constant ? paint.yellow('constant: a bias vector') : 'not constant'}`,
    ],
    ['trained rows', report.token_ids === null ? 'not in the file' : countText(report.token_ids.length)],
    [
      'trained rows equal the table',
      report.rows_equal_table === null ? 'not known' : report.rows_equal_table ? 'yes, bit for bit' : 'no',
    ],
  ];
  for (const line of table(rows)) print(line);
  for (const line of wrapped(report.words)) print(line);
  tell(paint.dim(`adapter.safetensors and adapter.json are in ${flags.out}`));
}

async function plannedImport(source: string | HubId, { out }: ImportFlags): Promise<DryRun> {
  const { planImport } = await import('../../pipeline/import/plan.ts');
  return withProgress((onEvent) => planImport(source, out, { onEvent }));
}

async function importHub(name: string, flags: ImportFlags): Promise<void> {
  const { DATASET, parseHubId } = await import('../../sources/hub/hub-id.ts');
  const id = parseHubId(name, DATASET);
  if (id === undefined || id.file !== undefined)
    throw new WhorlError(
      'missing-file',
      `${name} does not exist`,
      'give an output folder, a .pt file, or a data set of the hub (org/name)',
    );
  if (flags.dryRun) return showPlan(await plannedImport(id, flags), flags.json);
  const { importFromHub } = await import('../../pipeline/import/hub.ts');
  const { runs, adapters } = await withProgress((onEvent) => importFromHub(id, flags.out, { onEvent }));
  showRuns(runs, flags);
  for (const adapter of adapters)
    if (flags.json) printJson(adapter);
    else {
      for (const line of wrapped(adapter.words)) print(line);
      tell(paint.dim(`  in ${adapter.out}`));
    }
}

function showRuns(runs: readonly ImportedRun[], flags: ImportFlags): void {
  for (const run of runs) {
    if (flags.json) {
      printJson(run);
      continue;
    }
    print(paint.bold(shownText(run.model)));
    for (const line of table(run.files.map(({ name, rows }) => [shownText(name), `${rows} rows`])))
      print(line);
    for (const name of run.skipped) tell(paint.yellow(`  ${shownText(name)} is no answer file: not copied`));
    tell(paint.dim(`  in ${run.run}`));
  }
}
