// Import of an output folder that somebody else's code wrote: its answer files, every row checked, copied into a
// private run folder of the same name, with a run.json that says where each came from.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { checkNew, copyFileAtomic, writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { readAnswers } from './answer-rows.ts';
import { answerFiles, findPaperRuns, type PaperRun, paperRunPath } from './paper-folder.ts';

export interface ImportedRun {
  readonly run: string;
  readonly model: string;
  readonly files: readonly { readonly name: string; readonly rows: number; readonly sha256: string }[];
  /** .jsonl files whose names say nothing to us: left where they are. */
  readonly skipped: readonly string[];
}

export type ImportOptions = Abortable;

/** Copies each run under `source` to the same place under `out`; `origin` is written down as where they came from. Throws `exists`, `bad-file`, `missing-file`. */
export function importOutput(
  source: string,
  out: string,
  options: ImportOptions & { readonly origin?: string } = {},
): Promise<ImportedRun[]> {
  return abortable(options, ({ origin }) => copied(source, out, origin));
}

async function copied(source: string, out: string, origin: string | undefined): Promise<ImportedRun[]> {
  const imported: ImportedRun[] = [];
  for (const run of runsToImport(source, out)) imported.push(await importRun(run, out, origin ?? run.path));
  return imported;
}

/** Runs below `source`, none of which is at its place below `out` yet. */
function runsToImport(source: string, out: string): readonly PaperRun[] {
  const found = findPaperRuns(source);
  if (found.length === 0)
    throw new WhorlError(
      'missing-file',
      `${source} holds no output_{template}_{adapter|sft_chat}/{model}/{data}_epoch_…/`,
      'give the output folder itself, with its own name',
    );
  for (const run of found) checkNew(paperRunPath(out, run));
  return found;
}

/** What `importOutput` would import, every answer file read; nothing is written. Throws as it does. */
export const planOutput = (source: string, out: string): ImportedRun[] =>
  runsToImport(source, out).map((run) => readRun(run, out));

function readRun(run: PaperRun, out: string): ImportedRun {
  const { files, unknown } = answerFiles(run.path);
  if (files.length === 0)
    throw new WhorlError('missing-file', `${run.path} holds no answer file (.jsonl)`, 'check the folder');
  const target = paperRunPath(out, run);
  const read = files.map(({ file, kind }) => {
    const path = join(run.path, file);
    const rows = readAnswers(path, kind === 'sample_from_bos').length;
    return { name: file, rows, sha256: sha256Hex(readFileSync(path)) };
  });
  return { run: target, model: run.model, files: read, skipped: unknown };
}

async function importRun(run: PaperRun, out: string, origin: string): Promise<ImportedRun> {
  const imported = readRun(run, out);
  const { run: target, files: read, skipped: unknown } = imported;
  const { template, flavour, model, data, epoch, lr, bsz, dim } = run;
  await writeFolderAtomic(
    target,
    (folder) => {
      for (const { name } of read) copyFileAtomic(join(run.path, name), join(folder, name));
      writeJsonAtomic(
        join(folder, 'run.json'),
        {
          format: 'whorl-imported-run',
          version: 1,
          software: SOFTWARE,
          source: origin,
          template,
          flavour,
          model,
          settings: { data, epoch, lr, bsz, ...(dim === undefined ? {} : { dim }) },
          files: read,
          skipped: unknown,
        },
        0o600,
      );
    },
    0o700,
  );
  return imported;
}
